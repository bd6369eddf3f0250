package header

import "testing"

// benchMessage has the fields of a SUBSCRIBE of a desktop client.
var benchMessage = message(
	"Via: SIP/2.0/TCP 192.0.2.17:48112;alias;branch=z9hG4bK.HlY1VzO1c;rport", "From: <sip:alice@example.com>;tag=y1aFvPzQ7",
	"To: sip:bob@example.com", "CSeq: 20 SUBSCRIBE", "Call-ID: 8rQ0pIlNjd", "Max-Forwards: 70", "Route: <sip:proxy.example.com;lr>",
	"Contact: <sip:alice@192.0.2.17:48112;transport=tcp>;+sip.instance=\"<urn:uuid:11ab>\"", "Supported: replaces, outbound, gruu",
	"User-Agent: Bench/1.0", "Accept: application/pidf+xml", "Expires: 600", "Event: presence", "Content-Length: 0")

func BenchmarkValues(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Values(benchMessage, "Event")
	}
}

func BenchmarkSingle(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = Single(benchMessage, "Event")
	}
}

func BenchmarkParseEvent(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = ParseEvent("presence;id=7;max-rate=0.2")
	}
}

func BenchmarkParseAddress(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = ParseAddress(`"Alice" <sip:alice@192.0.2.17:48112;transport=tcp>;tag=y1aFvPzQ7`)
	}
}

func BenchmarkParseURI(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = ParseURI("sip:alice@192.0.2.17:48112;transport=tcp")
	}
}

func BenchmarkAOR(b *testing.B) {
	u, err := ParseURI("sip:alice@Example.com;transport=tcp")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		u.AOR()
	}
}

func BenchmarkParseVia(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = ParseVia("SIP/2.0/TCP 192.0.2.17:48112;alias;branch=z9hG4bK.HlY1VzO1c;rport")
	}
}
