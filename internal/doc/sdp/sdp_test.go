package sdp

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// media reads a description with one MSRP line that has these attributes.
func read(t testing.TB, attributes ...string) (*Media, error) {
	t.Helper()
	text := "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=message 7654 TCP/MSRP *\r\n"
	for _, a := range attributes {
		text += "a=" + a + "\r\n"
	}
	d, err := Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	return d.Media[0], nil
}

func mustRead(t testing.TB, attributes ...string) *Media {
	t.Helper()
	m, err := read(t, attributes...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// written gives the values of an attribute as they are written.
func written(m *Media, key string) (values []string) {
	d := Description{Host: "192.0.2.1", Media: []*Media{m}}
	for _, l := range strings.Split(string(d.Bytes()), "\r\n") {
		if v, ok := strings.CutPrefix(l, "a="+key+":"); ok {
			values = append(values, v)
		} else if l == "a="+key {
			values = append(values, "")
		}
	}
	return values
}

const selector = `name:"My cool picture.jpg" type:image/jpeg size:32349 hash:sha-1:72:24:5F:E8:65:3D:DA:F3:71:36:2F:86:D4:71:91:3E:E4:A2:CE:2E`

func TestFile(t *testing.T) {
	t.Run("FILE-001 the four selectors", func(t *testing.T) {
		f := mustRead(t, "file-selector:"+selector, "file-transfer-id:x").File
		if f.Name != "My cool picture.jpg" || f.Type != "image/jpeg" || f.Size != 32349 || f.Hash("sha-1")[19] != 0x2e || f.Check() != nil {
			t.Errorf("%+v", f)
		}
		if got := written(&Media{Kind: "message", File: f}, "file-selector"); got[0] != selector {
			t.Errorf("%s", got)
		}
		f = mustRead(t, `file-selector:type:text/plain;charset="utf-8";x="a%22b"`).File
		if f.Type != `text/plain; charset=utf-8; x="a\"b"` {
			t.Error(f.Type)
		}
		if got := written(&Media{Kind: "message", File: f}, "file-selector"); got[0] != `type:text/plain;charset="utf-8";x="a%22b"` {
			t.Errorf("%s", got)
		}
	})
	t.Run("FILE-002 percent encoding of names", func(t *testing.T) {
		for _, name := range []string{`a"b/c%.txt`, "a\r\nb\x00", `..\x`, "grüße", "%41"} {
			q := quote(name)
			if got, err := unquote(q); err != nil || got != name || strings.ContainsAny(q[1:len(q)-1], "\"\r\n\x00/\\") {
				t.Errorf("%q: %s, %q, %v", name, q, got, err)
			}
		}
		for _, bad := range []string{`name:"a%4"`, `name:"a%zz"`, `name:a`, `name:"a`, `name:""`, "name:\"\xff\""} {
			if _, err := read(t, "file-selector:"+bad); err == nil {
				t.Errorf("%s is taken", bad)
			}
		}
	})
	t.Run("FILE-004 several hashes, unknown ones, lower case", func(t *testing.T) {
		f := mustRead(t, "file-selector:hash:tiger:00 hash:sha-1:72:24:5f:e8:65:3d:da:f3:71:36:2f:86:d4:71:91:3e:e4:a2:ce:2e hash:sha-256:"+strings.Repeat("ab:", 31)+"AB").File
		if len(f.Hashes) != 2 || f.Hash("sha-1")[0] != 0x72 || len(f.Hash("sha-256")) != 32 {
			t.Errorf("%+v", f)
		}
		if got := f.Hashes[0].String(); got != "sha-1:72:24:5F:E8:65:3D:DA:F3:71:36:2F:86:D4:71:91:3E:E4:A2:CE:2E" {
			t.Error(got)
		}
		if f = mustRead(t, "file-selector:hash:tiger:00").File; f.Capability {
			t.Error("a hash that is not known is no selector")
		}
		if _, err := read(t, "file-selector:hash:sha-1:72:24"); err == nil {
			t.Error("a short hash is taken")
		}
	})
	t.Run("FILE-006 disposition", func(t *testing.T) {
		if f := mustRead(t, "file-disposition:attachment").File; f.Disposition != "attachment" {
			t.Error(f.Disposition)
		}
	})
	t.Run("FILE-007 dates with a numeric zone, each once", func(t *testing.T) {
		value := `creation:"Mon, 15 May 2006 15:01:31 +0300" read:"Mon, 15 May 2006 16:01:31 +0300"`
		f := mustRead(t, "file-date:"+value).File
		if !f.Created.Equal(time.Date(2006, 5, 15, 12, 1, 31, 0, time.UTC)) || f.Read.IsZero() || !f.Modified.IsZero() {
			t.Errorf("%+v", f)
		}
		if got := written(&Media{Kind: "message", File: f}, "file-date"); got[0] != value {
			t.Error(got)
		}
		for _, bad := range []string{`creation:"Mon, 15 May 2006 15:01:31 GMT"`, value + " " + value, `birth:"Mon, 15 May 2006 15:01:31 +0300"`, "creation:x"} {
			if _, err := read(t, "file-date:"+bad); err == nil {
				t.Errorf("%s is taken", bad)
			}
		}
	})
	t.Run("FILE-009 ranges", func(t *testing.T) {
		for text, want := range map[string]Range{"1-100": {1, 100}, "1001-*": {1001, 0}, "5-5": {5, 5}} {
			if f := mustRead(t, "file-range:"+text).File; *f.Range != want || f.Range.String() != text {
				t.Errorf("%s: %v", text, f.Range)
			}
		}
		for _, bad := range []string{"0-100", "5-4", "x-*", "5", "-5", "1-99999999999999999999", "+1-2"} {
			if _, err := read(t, "file-range:"+bad); err == nil {
				t.Errorf("%s is taken", bad)
			}
		}
	})
	t.Run("FILE-039 a selector without anything is for OPTIONS", func(t *testing.T) {
		f := mustRead(t, "file-selector", "file-transfer-id:x").File
		if !f.Capability || f.Check() == nil {
			t.Errorf("%+v", f)
		}
		if f = mustRead(t, "file-transfer-id:x").File; f.Capability || f.Check() == nil {
			t.Errorf("%+v", f)
		}
	})
	t.Run("FILE-038 what OPTIONS is told", func(t *testing.T) {
		d, err := Parse(Capabilities("192.0.2.1", []string{"*"}).Bytes())
		if err != nil || !d.Media[0].File.Capability || !bytes.Contains(Capabilities("h", []string{"*"}).Bytes(), []byte("a=file-selector\r\n")) {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

func TestMedia(t *testing.T) {
	t.Run("MSRP-072 accept-types", func(t *testing.T) {
		m := mustRead(t, "accept-types:message/CPIM text/* image/png;x=1", "accept-wrapped-types:*")
		for mediaType, want := range map[string]bool{"Message/cpim; charset=x": true, "text/html": true, "image/png": true, "image/jpeg": false, "textual/x": false} {
			if m.Accepts(mediaType) != want || !m.AcceptsWrapped(mediaType) {
				t.Errorf("%s: %v", mediaType, !want)
			}
		}
		for _, bad := range []string{"accept-types:text", "accept-types:", "accept-types:a/b/c", "accept-types:*/x"} {
			if m, err := read(t, bad); err == nil && bad != "accept-types:*/x" {
				t.Errorf("%s: %+v", bad, m)
			}
		}
	})
	t.Run("MSRP-075 max-size of 64 bits", func(t *testing.T) {
		if m := mustRead(t, "max-size:9223372036854775807"); m.MaxSize != 1<<63-1 || written(m, "max-size")[0] != "9223372036854775807" {
			t.Error(m.MaxSize)
		}
		if _, err := read(t, "max-size:-1"); err == nil {
			t.Error("-1 is taken")
		}
	})
	t.Run("MCON-002 setup", func(t *testing.T) {
		for value, want := range map[string]Setup{"active": Active, "PASSIVE": Passive, "actpass": ActPass, "holdconn": NoSetup} {
			if m := mustRead(t, "setup:"+value); m.Setup != want {
				t.Errorf("%s: %q", value, m.Setup)
			}
		}
		if m := mustRead(t, "setup:holdconn"); written(m, "setup") != nil {
			t.Error("holdconn is sent")
		}
		if _, err := read(t, "setup:both"); err == nil {
			t.Error("setup:both is taken")
		}
	})
	t.Run("MCON-010 connection is neither read nor written", func(t *testing.T) {
		if m := mustRead(t, "connection:existing", "setup:active"); m.Setup != Active || written(m, "connection") != nil {
			t.Errorf("%+v", m)
		}
	})
	t.Run("MCON-012 msrp-cema", func(t *testing.T) {
		if m := mustRead(t, "msrp-cema", "setup:actpass"); !m.CEMA || written(m, "msrp-cema") == nil || written(m, "setup")[0] != "actpass" {
			t.Errorf("%+v", m)
		}
	})
	t.Run("MSRP-069 a line without path is refused", func(t *testing.T) {
		m := mustRead(t, "accept-types:*")
		if m.Check() == nil {
			t.Error("accepted")
		}
		if m := mustRead(t, "path:msrp://h:1/x;tcp"); m.Check() == nil {
			t.Error("accepted without accept-types")
		}
		if m := mustRead(t, "accept-types:*", "path:msrp://h:1/x;tcp"); m.Check() != nil {
			t.Error(m.Check())
		}
	})
	t.Run("MSRP-078 two lines on one port", func(t *testing.T) {
		d, err := Parse([]byte("v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 h\r\nt=0 0\r\nm=message 7 TCP/MSRP *\r\na=path:msrp://h:7/a;tcp\r\nm=message 7 TCP/TLS/MSRP *\r\na=path:msrps://h:7/b;tcp\r\n"))
		if err != nil || len(d.Media) != 2 || d.Media[0].Path == d.Media[1].Path || !d.Media[1].TLS() || d.Media[0].TLS() {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

func TestAnswer(t *testing.T) {
	offer, err := Parse([]byte("v=0\no=- 1 1 IN IP4 h\ns=-\nc=IN IP4 h\nt=0 0\na=fingerprint:sha-256 AA\na=sendonly\nm=audio 9 RTP/AVP 0 8\nm=image 5 udptl t38\n" +
		"m=message 7 TCP/MSRP *\na=accept-types:*\na=path:msrp://h:7/a;tcp\na=file-selector:" + selector + "\na=file-transfer-id:x\na=file-disposition:attachment\n" +
		"a=file-date:creation:\"Mon, 15 May 2006 15:01:31 +0300\"\na=file-icon:cid:a@b\na=file-range:5-9\n"))
	if err != nil {
		t.Fatal(err)
	}
	line := offer.Media[2]
	if line.Direction != SendOnly || !slices.Equal(line.Fingerprints, []string{"sha-256 AA"}) {
		t.Errorf("what the session says: %+v", line)
	}
	refused := string(offer.Answer(2, "192.0.2.2").Bytes())
	t.Run("MSRP-077 refused lines have port 0, in their places", func(t *testing.T) {
		var lines []string
		for _, l := range strings.Split(refused, "\r\n") {
			if strings.HasPrefix(l, "m=") {
				lines = append(lines, l)
			}
		}
		if !slices.Equal(lines, []string{"m=audio 0 RTP/AVP 0 8", "m=image 0 udptl t38", "m=message 0 TCP/MSRP *"}) {
			t.Errorf("%q", lines)
		}
	})
	t.Run("FILE-016 a refusal has selector and id", func(t *testing.T) {
		if !strings.Contains(refused, "a=file-selector:"+selector+"\r\na=file-transfer-id:x\r\n") || strings.Contains(refused, "icon") {
			t.Error(refused)
		}
	})
	t.Run("FILE-017 the answer of who receives", func(t *testing.T) {
		f := line.File.ToReceive()
		if f.Name != line.File.Name || f.Type != line.File.Type || f.Size != line.File.Size || f.ID != "x" || f.Icon != "" || f.Disposition != "" || !f.Created.IsZero() {
			t.Errorf("%+v", f)
		}
		if line.Direction.Reversed() != RecvOnly || RecvOnly.Reversed() != SendOnly {
			t.Error("the direction is not reversed")
		}
	})
	t.Run("FILE-021 the range comes back", func(t *testing.T) {
		a := &Media{Port: 1, File: line.File.ToReceive()}
		if err := a.Accepted(line); err != nil {
			t.Error(err)
		}
		for _, r := range []*Range{nil, {5, 8}} {
			if a.File.Range = r; a.Accepted(line) != ErrRange {
				t.Errorf("%v is taken", r)
			}
		}
	})
	t.Run("FILE-015 port 0 is a refusal", func(t *testing.T) {
		if line.Refusal("h").Accepted(line) != ErrRefused {
			t.Error("taken as accepted")
		}
	})
	t.Run("MSRP-079 an unchanged description keeps its o-line", func(t *testing.T) {
		a, b := offer.Answer(2, "h"), offer.Answer(7, "h")
		if b.After(a); b.Version != 1 || b.ID != 2 {
			t.Errorf("%+v", b)
		}
		b.Media[2].Port = 9
		if b.After(a); b.Version != 2 {
			t.Errorf("%+v", b)
		}
	})
	answer := offer.Answer(2, "h")
	if answer.Match(offer) != nil {
		t.Error(answer.Match(offer))
	}
	if answer.Media = answer.Media[:2]; answer.Match(offer) == nil {
		t.Error("an answer with a line less")
	}
}

func TestRelated(t *testing.T) {
	t.Run("FILE-040 FILE-008 the description is the root of a multipart/related, the icon a part", func(t *testing.T) {
		icon := Icon{ID: "id2@alicepc", Type: "image/png", Data: []byte("\x89PNG\r\n--x\x00")}
		ct, body, err := Related([]byte("v=0\r\n"), []Icon{icon}, "b1")
		if err != nil {
			t.Fatal(err)
		}
		d, icons, err := Unwrap(ct, body)
		if err != nil || string(d) != "v=0\r\n" || len(icons) != 1 {
			t.Fatalf("%q, %v, %v", d, icons, err)
		}
		got, ok := IconOf("cid:id2@alicepc", icons)
		if !ok || got.Type != "image/png" || !bytes.Equal(got.Data, icon.Data) {
			t.Errorf("%+v", got)
		}
		if _, ok := IconOf("cid:other", icons); ok {
			t.Error("another part was found")
		}
	})
	start := "--b\r\nContent-Type: image/png\r\nContent-ID: <i>\r\n\r\nx\r\n--b\r\nContent-Type: application/sdp\r\nContent-ID: <s>\r\n\r\nv=0\r\n--b--\r\n"
	if d, _, err := Unwrap(`multipart/related;start="<s>";boundary=b`, []byte(start)); err != nil || string(d) != "v=0" {
		t.Errorf("%q, %v", d, err)
	}
	for _, ct := range []string{"text/plain", "multipart/related;boundary=b", "multipart/mixed;boundary=x", "x"} {
		if _, _, err := Unwrap(ct, []byte(start)); err == nil {
			t.Errorf("%s has a description", ct)
		}
	}
}

func TestVectors(t *testing.T) {
	files, _ := filepath.Glob("../../../../shared/vectors/examples/*.sdp")
	if len(files) == 0 {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Parse(b)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		again, err := Parse(d.Bytes())
		if err != nil || !bytes.Equal(again.Bytes(), d.Bytes()) {
			t.Errorf("%s: %v\n%s", filepath.Base(file), err, d.Bytes())
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 h\r\nt=0 0\r\nm=message 7 TCP/MSRP *\r\na=accept-types:*\r\na=path:msrp://h:7/a;tcp\r\na=file-selector:" + selector + "\r\na=file-range:1-*\r\n"))
	f.Add([]byte("v=0\no=a 1 1 IN IP6 ::1\ns=\nt=0 0\nm=audio 0 RTP/AVP 0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse(b)
		if err != nil {
			return
		}
		out := d.Bytes()
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("%v\n%q\n%q", err, b, out)
		}
		if !bytes.Equal(again.Bytes(), out) {
			t.Fatalf("%q\n%q", out, again.Bytes())
		}
	})
}
