package relay

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// FuzzConn lets a client with a URI say anything. URI stands for its URI.
func FuzzConn(f *testing.F) {
	const own, self = "URI", "msrp://a.invalid:9/a;tcp"
	f.Add(requestText("tid1", "SEND", own+" "+self, self, "hello", "$", "Message-ID: 12345", "Byte-Range: 1-5/5"))
	f.Add(requestText("tid1", "SEND", own+" "+own+" "+self, self, "hello", "+", "Message-ID: 12345", "Byte-Range: 999999999999999999-*/*", "Failure-Report: partial"))
	f.Add(requestText("tid1", "FOO", own+" "+self, self, "-", "#"))
	f.Add(requestText("tid1", "REPORT", own+" "+self, self, "-", "$", "Status: 000 200 OK"))
	f.Add(requestText("tid1", "AUTH", "msrp://localhost;tcp", self, "-", "$", "Expires: 60", `Authorization: Digest username="a"`))
	f.Add(requestText("tid1", "AUTH", own+" msrp://localhost;tcp", self, "-", "$"))
	f.Add("MSRP tid1 200 OK\r\nTo-Path: URI\r\nFrom-Path: msrp://a.invalid:9/a;tcp\r\n-------tid1$\r\n")
	r, err := New(Config{Host: "localhost", Dial: func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrClosedPipe }})
	if err != nil {
		f.Fatal(err)
	}
	defer r.Close()
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	r.listen(p, "tcp")
	go r.Serve(p, Transport{Name: "tcp"})
	f.Fuzz(func(t *testing.T, text string) {
		near, far := net.Pipe()
		p.ch <- far
		q := peerOver(t, near, "a")
		if q.auth(r).code != 200 {
			t.Fatal("AUTH")
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			io.Copy(io.Discard, near)
		}()
		near.SetWriteDeadline(time.Now().Add(10 * time.Second))
		near.Write([]byte(strings.ReplaceAll(text, own, q.path)))
		near.Close()
		<-done
	})
}
