package load

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"imp/internal/msrp/session"
)

func TestMSRP(t *testing.T) {
	cert, err := session.NewCertificate(time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, transport := range []string{"tcp", "tls"} {
		a, b := session.New(session.Config{Certificate: &cert}), session.New(session.Config{Certificate: &cert})
		defer a.Close()
		defer b.Close()
		l, err := b.Listen(t.Context(), transport, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var phases []string
		report, err := RunMSRP(t.Context(), MSRPConfig{Source: a, Sink: b, Listener: l, Peer: session.FingerprintOf(cert.Certificate[0]),
			Sessions: 2, Size: 3000, Chunk: 2048, Count: 30, Duration: time.Minute, Settle: time.Minute, Success: true,
			Tell: func(p string) { phases = append(phases, p) }})
		if err != nil {
			t.Fatal(err)
		}
		if report.Sent != 30 || report.Arrived != 30 || report.Bytes != 90_000 || report.Altered != 0 || len(report.Failed) != 0 || report.Arrival.Count != 30 {
			t.Errorf("%s: %+v", transport, report)
		}
		if strings.Join(phases, ", ") != "opening 2 sessions, measuring" {
			t.Errorf("%v", phases)
		}
	}
	t.Run("a session that cannot be opened is told", func(t *testing.T) {
		a, b := session.New(session.Config{}), session.New(session.Config{})
		defer a.Close()
		defer b.Close()
		l, _ := b.Listen(t.Context(), "tcp", "127.0.0.1:0")
		a.Close()
		if _, err := RunMSRP(context.Background(), MSRPConfig{Source: a, Sink: b, Listener: l, Sessions: 1, Size: 8}); err == nil || !strings.HasPrefix(err.Error(), "opening session 1: ") {
			t.Errorf("%v", err)
		}
	})
	t.Run("content is read in pieces of any size", func(t *testing.T) {
		c := &stamped{head: [stamp]byte{1, 2, 3, 4, 5, 6, 7, 8}, rest: []byte("content")}
		var all []byte
		for {
			var p [3]byte
			n, err := c.Read(p[:])
			all = append(all, p[:n]...)
			if err == io.EOF {
				break
			}
		}
		if string(all) != "\x01\x02\x03\x04\x05\x06\x07\x08content" {
			t.Errorf("%q", all)
		}
	})
	t.Run("a message with another content is counted", func(t *testing.T) {
		a, b := session.New(session.Config{}), session.New(session.Config{})
		defer a.Close()
		defer b.Close()
		l, _ := b.Listen(t.Context(), "tcp", "127.0.0.1:0")
		r := &msrpRun{cfg: MSRPConfig{Source: a, Sink: b, Listener: l}, content: make([]byte, 20)}
		if err := r.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{strings.Repeat("\x00", 20), strings.Repeat("\x00", 19) + "x", strings.Repeat("\x00", 19)} {
			if _, err := r.source[0].Send(t.Context(), session.Message{Type: "a/b", Body: strings.NewReader(body), Size: int64(len(body))}); err != nil {
				t.Fatal(err)
			}
			in, err := r.sink[0].Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r.take(in, make([]byte, 7))
		}
		if r.altered.Load() != 2 || r.arrived.Load() != 3 {
			t.Errorf("%d of %d were altered", r.altered.Load(), r.arrived.Load())
		}
	})
}
