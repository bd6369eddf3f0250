package registration_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"imp/internal/sip/registration"
	"imp/internal/sip/stack"
)

// tcpRegistrar grants outbound to whoever registers, and answers pings.
type tcpRegistrar struct {
	t        *testing.T
	listener net.Listener
	accepted chan net.Conn
	heard    chan string // REGISTERs and pings, in their order
}

func newTCPRegistrar(t *testing.T) *tcpRegistrar {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r := &tcpRegistrar{t: t, listener: l, accepted: make(chan net.Conn, 8), heard: make(chan string, 64)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.accepted <- c
			go r.serve(c)
		}
	}()
	return r
}

// serve answers what comes over a connection: all of it is without a body.
func (r *tcpRegistrar) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		head, err := readHead(in)
		if err != nil {
			return
		}
		r.heard <- head
		if head == "\r\n\r\n" {
			io.WriteString(c, "\r\n")
			continue
		}
		answer := []string{"SIP/2.0 200 OK"}
		for _, line := range strings.Split(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n")[1:] {
			switch name, _, _ := strings.Cut(line, ":"); name {
			case "Via", "From", "To", "Call-ID", "CSeq", "Contact":
				answer = append(answer, line)
			}
		}
		fmt.Fprint(c, strings.Join(append(answer, "Require: outbound", "Expires: 600", "Content-Length: 0", "", ""), "\r\n"))
	}
}

// readHead reads a message up to its empty line, or a ping.
func readHead(in *bufio.Reader) (string, error) {
	var b strings.Builder
	for !strings.HasSuffix(b.String(), "\r\n\r\n") {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		b.WriteString(line)
	}
	return b.String(), nil
}

func (r *tcpRegistrar) next() string {
	r.t.Helper()
	select {
	case s := <-r.heard:
		return s
	case <-r.t.Context().Done():
		r.t.Fatal("nothing came")
	}
	return ""
}

// field is the value of a header field of a message.
func field(head, name string) string {
	for line := range strings.Lines(head) {
		if n, v, _ := strings.Cut(line, ":"); n == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func TestOverAStack(t *testing.T) {
	t.Run("NAM-069 NAM-073 the flow is one connection, and another one after it was cut", func(t *testing.T) {
		server := newTCPRegistrar(t)
		s := stack.New(stack.Config{})
		defer s.Close()
		cfg := config()
		cfg.Wire, cfg.Connect = s, registration.Over(s)
		cfg.Proxies = []stack.Target{{Addr: server.listener.Addr().String()}}
		r, err := registration.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Register(t.Context()); err != nil {
			t.Fatal(err)
		}
		first, conn := server.next(), <-server.accepted
		if !strings.HasPrefix(first, "REGISTER sip:example.com SIP/2.0\r\n") {
			t.Fatal(first)
		}
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan error)
		events := make(chan registration.Event, 8)
		go func() { over <- r.Run(ctx, func(e registration.Event) { events <- e }) }()
		if ping := server.next(); ping != "\r\n\r\n" {
			t.Fatalf("%q is no ping", ping)
		}
		for range 3 { // over the same connection, and so behind the pong
			if _, err := r.Register(t.Context()); err != nil {
				t.Fatal(err)
			}
			server.next()
		}
		if len(server.accepted) != 0 {
			t.Fatal("there is a second connection")
		}
		conn.Close()
		if e := <-events; e.Err == nil {
			t.Fatalf("%+v", e)
		}
		again := server.next()
		<-server.accepted
		if field(again, "Call-ID") != field(first, "Call-ID") || field(again, "Contact") != field(first, "Contact") {
			t.Errorf("%s\nafter\n%s", again, first)
		}
		if e := <-events; e.Err != nil || !e.Again || !e.Outbound {
			t.Errorf("%+v", e)
		}
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
}
