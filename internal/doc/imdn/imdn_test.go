package imdn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imp/internal/xml/schematest"
)

// document is one of a notification element.
func document(notification string) string {
	return `<imdn xmlns="` + Space + `"><message-id>34jk324j</message-id><datetime>2008-04-04T12:16:49-05:00</datetime>` +
		`<recipient-uri>im:bob@example.com</recipient-uri><original-recipient-uri>im:list@example.com</original-recipient-uri>` + notification + `</imdn>`
}

func element(kind Kind, status Status) string {
	return fmt.Sprintf("<%s-notification><status><%s/></status></%[1]s-notification>", kind, status)
}

var statuses = []Status{Delivered, Failed, Processed, Stored, Displayed, Forbidden, Failure}

// mustBeValid fails for each document that the schema or Check refuses.
func mustBeValid(t *testing.T, docs ...[]byte) {
	t.Helper()
	for _, doc := range docs {
		if err := Check(doc); err != nil {
			t.Errorf("Check: %v\n%s", err, doc)
		}
	}
	schematest.MustBeValid(t, "imdn.rng", docs...)
}

func TestBytes(t *testing.T) {
	t.Run("CPIM-041 documents are as the schema has them", func(t *testing.T) {
		var docs [][]byte
		for _, kind := range Kinds() {
			for _, status := range Statuses(kind) {
				docs = append(docs, (&Document{MessageID: "a", DateTime: "2008-04-04T12:16:49Z", Kind: kind, Status: status}).Bytes())
			}
		}
		full := &Document{
			MessageID: "a&b<c", DateTime: "2008-04-04T12:16:49-05:00", Recipient: "im:b ob@[x]é.com%", OriginalRecipient: "1:2#f[%20",
			Subject: " <b> & \x01\r\n\xff", Kind: Display, Status: Displayed,
		}
		docs = append(docs, full.Bytes(), (&Document{MessageID: "a", Kind: Display, Status: Stored}).Bytes())
		for _, one := range []*Document{{MessageID: "a", Recipient: "im:x@y", Subject: "s"}, {MessageID: "a", OriginalRecipient: "im:x@y"}} {
			doc := one.Bytes()
			docs = append(docs, doc)
			if !bytes.Contains(doc, []byte("<recipient-uri>im:x@y</recipient-uri>\n  <original-recipient-uri>im:x@y<")) {
				t.Errorf("one URI without the other:\n%s", doc)
			}
		}
		lone := (&Document{MessageID: "a", Subject: "s"}).Bytes()
		if bytes.Contains(lone, []byte("subject")) {
			t.Errorf("a subject without URIs:\n%s", lone)
		}
		mustBeValid(t, append(docs, lone)...)
	})
	t.Run("IPv6 addresses stay", func(t *testing.T) {
		doc := (&Document{MessageID: "a", Recipient: "sip:l@[::1]:5060;x=[y]"}).Bytes()
		if d, err := Parse(doc); err != nil || d.Recipient != "sip:l@[::1]:5060;x=%5By%5D" {
			t.Errorf("%v\n%s", err, doc)
		}
	})
	t.Run("CPIM-042 the id and the time of the message come back as they are", func(t *testing.T) {
		d := Document{MessageID: "34jk324j", DateTime: "2008-04-04T12:16:49.5-05:00", Kind: Delivery, Status: Failed}
		back, err := Parse(d.Bytes())
		if err != nil || back.MessageID != d.MessageID || back.DateTime != d.DateTime {
			t.Errorf("%v %+v", err, back)
		}
	})
	t.Run("CPIM-060 undisclosed recipients are not there", func(t *testing.T) {
		if doc := (&Document{MessageID: "a", Kind: Delivery, Status: Failed}).Bytes(); bytes.Contains(doc, []byte("recipient")) {
			t.Errorf("%s", doc)
		}
	})
}

func TestParse(t *testing.T) {
	t.Run("CPIM-045 every kind has its statuses", func(t *testing.T) {
		want := map[Kind]string{
			Delivery: "delivered failed forbidden error", Processing: "processed stored forbidden error", Display: "displayed forbidden error",
		}
		for kind, of := range want {
			for _, status := range statuses {
				src := []byte(document(element(kind, status)))
				legal := strings.Contains(" "+of+" ", " "+string(status)+" ")
				d, err := Parse(src)
				if legal != (err == nil) || legal != (Check(src) == nil) {
					t.Errorf("%s %s: %v, %v", kind, status, err, Check(src))
				}
				if err == nil && (d.Kind != kind || d.Status != status || d.Recipient != "im:bob@example.com" || d.OriginalRecipient != "im:list@example.com") {
					t.Errorf("%+v", d)
				}
				if legal && KindOf(status) != kind && KindOf(status) != "" {
					t.Errorf("%s is of %s", status, KindOf(status))
				}
			}
		}
	})
	for src, want := range map[string]string{
		"<imdn/>": "1:1: the root is",
		`<imdn xmlns="` + Space + `"><datetime/></imdn>`:                                               "1:1: no message-id",
		document(element(Delivery, Delivered) + element(Display, Displayed)):                           "a second notification",
		document("<display-notification><status><displayed/><error/></status></display-notification>"): "a second status",
		document("<display-notification/>"):                                                            "no status",
		document("<display-notification><status/></display-notification>"):                             "no status",
		document("<display-notification>\n<status><read/></status></display-notification>"):            "2:9: read is no status of display",
		document("") + "x": "1:",
		strings.Repeat(`<a xmlns="`+Space+`">`, 65) + strings.Repeat("</a>", 65): "1:",
	} {
		if _, err := Parse([]byte(src)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %s", src, err, want)
		}
	}
	src := `<imdn xmlns="` + Space + `" xmlns:x="urn:x"><x:a/>` + element(Delivery, Delivered)[:len("<delivery-notification><status><delivered/>")] +
		`<x:b/></status></delivery-notification><subject> s </subject><message-id> a </message-id></imdn>`
	d, err := Parse([]byte(src))
	if err != nil || d.MessageID != "a" || d.Subject != " s " || len(d.Extensions) != 2 || d.Extensions[1] != (Name{"urn:x", "b"}) || d.Status != Delivered {
		t.Errorf("%v %+v", err, d)
	}
	if Check([]byte(src)) == nil {
		t.Error("the wrong order is valid")
	}
	many := `<imdn xmlns="` + Space + `"><message-id>a</message-id>` + strings.Repeat(`<a xmlns="urn:x"/>`, maxExtensions+1) + `</imdn>`
	if d, err := Parse([]byte(many)); err != nil || len(d.Extensions) != maxExtensions {
		t.Errorf("%v", err)
	}
}

// TestExamples reads what RFC 5438 prints, and writes it again.
func TestExamples(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(schematest.Vectors, "examples", "rfc5438-*.xml"))
	if len(files) == 0 {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	var docs [][]byte
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Parse(src)
		if err != nil || d.MessageID != "34jk324j" || d.Kind == "" {
			t.Errorf("%s: %v %+v", file, err, d)
			continue
		}
		docs = append(docs, src, d.Bytes())
	}
	mustBeValid(t, docs...)
}

// TestOracle compares Check with xmllint on documents that have lost or gained something.
func TestOracle(t *testing.T) {
	whole := document(`<subject>s</subject>` + element(Display, Displayed) + `<x xmlns="urn:x"><z>y</z></x>`)
	var docs [][]byte
	for _, part := range []string{
		"<message-id>34jk324j</message-id>", "<datetime>2008-04-04T12:16:49-05:00</datetime>", "<recipient-uri>im:bob@example.com</recipient-uri>",
		"<original-recipient-uri>im:list@example.com</original-recipient-uri>", "<subject>s</subject>", element(Display, Displayed), "<displayed/>",
		`<x xmlns="urn:x"><z>y</z></x>`, "im:bob@example.com",
	} {
		docs = append(docs, []byte(strings.Replace(whole, part, "", 1)), []byte(strings.Replace(whole, part, part+part, 1)),
			[]byte(strings.Replace(whole, part, part+`<y xmlns="urn:x"/>`, 1)), []byte(strings.Replace(whole, part, part+`<read/>`, 1)))
	}
	schematest.MustAgree(t, "imdn.rng", Check, docs...)
}

func TestView(t *testing.T) {
	d, err := Parse([]byte(document("<subject>a\u202e</subject>" + element(Display, Displayed) + `<x xmlns="urn:x"/>`)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(d)
	var v View
	if err != nil || json.Unmarshal(b, &v) != nil || v.Kind != Display || v.Status != Displayed || v.Extensions[0].Name != "x" {
		t.Errorf("%v %s", err, b)
	}
	var out strings.Builder
	if err := d.WriteText(&out, time.Date(2008, 4, 4, 0, 0, 0, 0, time.UTC), nil); err != nil {
		t.Fatal(err)
	}
	want := "display: displayed  message 34jk324j\n  sent: 17:16:49\n  recipient: im:bob@example.com\n  original recipient: im:list@example.com\n" +
		"  subject: a\uFFFD\n  extension: x urn:x\n"
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
	t.Run("CPIM-050 nothing says that a message was read", func(t *testing.T) {
		if strings.Contains(out.String(), "read") {
			t.Errorf("%s", out.String())
		}
	})
}

// FuzzParse: whatever is read can be shown, and is written validly and the same each time.
func FuzzParse(f *testing.F) {
	f.Add([]byte(document("<subject>s</subject>" + element(Display, Displayed))))
	f.Add([]byte(document(element(Processing, Stored) + `<x xmlns="urn:x"><z>y</z></x>`)))
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := Parse(src)
		if err != nil {
			return
		}
		if err := d.WriteText(io.Discard, time.Time{}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(d); err != nil {
			t.Fatal(err)
		}
		doc := d.Bytes()
		if err := Check(doc); err != nil && !bytes.Contains(doc, []byte("[")) {
			t.Fatalf("%v\n%s", err, doc)
		}
		back, err := Parse(doc)
		if err != nil || !bytes.Equal(back.Bytes(), doc) || back.Status != d.Status {
			t.Fatalf("%v\n%s", err, doc)
		}
	})
}

// FuzzURI: any URI can stand in a document.
func FuzzURI(f *testing.F) {
	f.Add("sip:a@[1];x=%zz#f é")
	f.Add("1:2/[x]")
	f.Fuzz(func(t *testing.T, s string) {
		doc := (&Document{MessageID: "a", Recipient: s}).Bytes()
		if bytes.Contains(doc, []byte("[")) {
			return
		}
		if err := Check(doc); err != nil {
			t.Errorf("%q: %v\n%s", s, err, doc)
		}
	})
}
