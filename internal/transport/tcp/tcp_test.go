package tcp_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"imp/internal/transport/tcp"
)

// connected gives both ends of a connection, the first one as this package has it.
func connected(t *testing.T) (*tcp.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	c := tcp.Of(near)
	if c == nil {
		t.Fatal("a connection over TCP is none")
	}
	c.SetUnsent(16 << 10)
	return c, far
}

func TestOfOthers(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if tcp.Of(a) != nil {
		t.Error("a pipe is a connection over TCP")
	}
}

func TestRead(t *testing.T) {
	c, far := connected(t)
	want := make([]byte, 1<<20)
	for i := range want {
		want[i] = byte(i >> 8)
	}
	go func() {
		for at := 0; at < len(want); at += 1000 { // many reads, some of which wait
			far.Write(want[at:min(at+1000, len(want))])
		}
		far.Close()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d are as they were written, error %v", len(got), len(want), err)
	}
}

func TestReadEnds(t *testing.T) {
	c, far := connected(t)
	c.SetReadDeadline(time.Now())
	if _, err := c.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	c.SetReadDeadline(time.Time{})
	far.Write([]byte("x"))
	if n, err := c.Read(make([]byte, 10)); n != 1 || err != nil {
		t.Errorf("without a deadline: %d, %v", n, err)
	}
	read := make(chan error)
	go func() {
		_, err := c.Read(make([]byte, 10))
		read <- err
	}()
	c.Close()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := c.TryWrite([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing after Close: %v", err)
	}
}

func TestTryWrite(t *testing.T) {
	c, far := connected(t)
	want := bytes.Repeat([]byte("0123456789abcdefg"), 2<<20) // more than buffers of the kernel hold
	n, err := c.TryWrite(want)
	if err != nil || n == len(want) {
		t.Fatalf("%d bytes written to who does not read, error %v", n, err)
	}
	if runtime.GOOS == "linux" && n == 0 {
		t.Error("nothing is written although there is room")
	}
	go func() {
		c.Write(want[n:])
		c.Close()
	}()
	if got, err := io.ReadAll(far); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d are as they were written, error %v", len(got), len(want), err)
	}
}

func TestTryWriteToNobody(t *testing.T) {
	c, far := connected(t)
	far.(*net.TCPConn).SetLinger(0)
	far.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatal("a connection that was reset can be read")
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux writes without waiting")
	}
	if _, err := c.TryWrite([]byte("x")); err == nil {
		t.Error("a connection that was reset can be written to")
	}
}
