package kit

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	sipMessage  = "PUBLISH sip:a@b SIP/2.0\r\nAuthorization: Digest username=\"a\", response=\"0123\"\r\nContent-Length: 2\r\n\r\nhi"
	httpMessage = "PUT /x HTTP/1.1\r\nHost: h\r\nauthorization:  Basic YWxpY2U6d29uZGVybGFuZA==\r\nProxy-Authorization: Bearer s3cret\r\n\r\nAuthorization: Basic body"
)

func TestTrace(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	run := func(t *testing.T, args string, act func(*Kit)) (stderr string, dir string) {
		dir = t.TempDir()
		s, _, errs := Recorded("", dir)
		k := New(s)
		if status := k.Execute(t.Context(), program(k, func(context.Context) error { act(k); return nil }), append(strings.Fields(args), "act")); status != 0 {
			t.Fatal(errs)
		}
		return errs.String(), dir
	}
	t.Run("which protocols", func(t *testing.T) {
		for args, want := range map[string]string{"": "", "-s": "sip", "--trace=sip": "sip", "--trace": "sip msrp http", "--trace=msrp,http": "msrp http", "--trace=all": "sip msrp http", "--trace-file f": "sip msrp http"} {
			run(t, args, func(k *Kit) {
				var got []string
				for _, proto := range []string{"sip", "msrp", "http"} {
					if k.Tracer(proto) != nil {
						got = append(got, proto)
					}
				}
				if s := strings.Join(got, " "); s != want {
					t.Errorf("%q traces %q, want %q", args, s, want)
				}
			})
		}
	})
	t.Run("for people", func(t *testing.T) {
		stderr, _ := run(t, "-s", func(k *Kit) {
			trace := k.Tracer("sip")
			trace(Record{at, true, "udp", "127.0.0.1:1", "127.0.0.1:5060", []byte(sipMessage)})
			trace(Record{at, false, "tcp", "127.0.0.1:1", "127.0.0.1:5060", []byte("SIP/2.0 200 OK\r\nX-Y: \x1b[2J\r\n\r\n\xff\xfe")})
		})
		when := at.In(time.Local).Format("15:04:05.000")
		lacking := "  ! there is no Via\n  ! there is no From\n  ! there is no To\n  ! there is no Call-ID\n  ! there is no CSeq\n"
		want := when + " -> udp 127.0.0.1:5060 (local 127.0.0.1:1, 101 bytes)\nPUBLISH sip:a@b SIP/2.0\nAuthorization: Digest username=\"a\", response=\"0123\"\nContent-Length: 2\n" + lacking +
			"  ! there is a body and no Content-Type\n  text, 2 bytes\n    hi\n\n" +
			when + " <- tcp 127.0.0.1:5060 (local 127.0.0.1:1, 31 bytes)\nSIP/2.0 200 OK\nX-Y: \\x1b[2J\n" + lacking
		if !strings.HasPrefix(stderr, want) || !strings.Contains(stderr, "  2 bytes that are not text\n    0000  ff fe ") {
			t.Errorf("%q\nwant %q and a dump of two bytes", stderr, want)
		}
	})
	t.Run("in a file, to which a second run appends", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "trace")
		for range 2 {
			run(t, "--trace-file "+name, func(k *Kit) {
				k.Tracer("sip")(Record{at, true, "udp", "127.0.0.1:1", "127.0.0.1:5060", []byte(sipMessage)})
			})
		}
		data, _ := os.ReadFile(name)
		lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
		if len(lines) != 2 {
			t.Fatalf("%d lines", len(lines))
		}
		if want := `{"time":"2026-01-02T03:04:05.006Z","dir":"out","proto":"sip","transport":"udp","local":"127.0.0.1:1","remote":"127.0.0.1:5060","data":"`; !bytes.HasPrefix(lines[1], []byte(want)) {
			t.Errorf("%s", lines[1])
		}
		var l traceLine
		if err := json.Unmarshal(lines[1], &l); err != nil || string(l.Data) != sipMessage {
			t.Errorf("%s, %v", l.Data, err)
		}
		if st, _ := os.Stat(name); st.Mode().Perm() != 0o600 {
			t.Errorf("mode %o", st.Mode().Perm())
		}
	})
	t.Run("no secrets", func(t *testing.T) {
		original := []byte(httpMessage)
		stderr, dir := run(t, "--trace=http --trace-file f", func(k *Kit) {
			k.Tracer("http")(Record{at, true, "https", "l", "r", original})
		})
		file, _ := os.ReadFile(filepath.Join(dir, "f"))
		var l traceLine
		json.Unmarshal(file, &l)
		for _, text := range []string{stderr, string(l.Data)} {
			if strings.Contains(text, "YWxp") || strings.Contains(text, "s3cret") || !strings.Contains(text, "Basic body") || !strings.Contains(text, "Host: h") || !strings.Contains(text, "Basic ****") {
				t.Errorf("%s", text)
			}
		}
		if string(original) != httpMessage || len(l.Data) != len(original) {
			t.Error("the message was changed")
		}
	})
}

func FuzzMaskSecrets(f *testing.F) {
	f.Add([]byte(httpMessage))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := string(data)
		if got := maskSecrets(data); len(got) != len(data) || string(data) != before {
			t.Errorf("%q", got)
		}
	})
}
