package relay

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"imp/internal/auth/certs"
	"imp/internal/msrp/wire"
)

// TestMain runs a relay of its own where a benchmark wants one, so that its CPU time can be told from that of the load.
func TestMain(m *testing.M) {
	transport := os.Getenv("IMP_TEST_RELAY")
	if transport == "" {
		os.Exit(m.Run())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	r, err := New(Config{Host: "localhost"})
	if err != nil {
		panic(err)
	}
	var config *tls.Config
	if transport == "tls" {
		if config, err = serverTLS("localhost"); err != nil {
			panic(err)
		}
	}
	go r.Serve(l, Transport{transport, config})
	fmt.Println(l.Addr())
	io.Copy(io.Discard, os.Stdin)
	r.Close()
}

func serverTLS(host string) (*tls.Config, error) {
	ca, err := certs.NewAuthority("test", time.Now(), time.Hour)
	if err != nil {
		return nil, err
	}
	cert, key, err := ca.Issue(certs.Names{Hosts: []string{host}}, time.Now())
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	return &tls.Config{Certificates: []tls.Certificate{pair}}, err
}

type load struct {
	transport string
	size      int
	both      bool // the sender is authenticated, too
}

// BenchmarkRelay tells the CPU time of the relay for each SEND.
func BenchmarkRelay(b *testing.B) {
	for _, l := range []load{{"tcp", 2048, false}, {"tcp", 2048, true}, {"tcp", 65536, false}, {"tls", 2048, false}, {"tls", 65536, false}} {
		b.Run(fmt.Sprintf("%s/%d/both=%v", l.transport, l.size, l.both), func(b *testing.B) { benchRelay(b, l) })
	}
}

func benchRelay(b *testing.B, l load) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "IMP_TEST_RELAY="+l.transport, "GOMAXPROCS=1")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	line := make([]byte, 100)
	n, _ := out.Read(line)
	addr := strings.TrimSpace(string(line[:n]))
	sink, source := benchConn(b, l, addr), benchConn(b, l, addr)
	defer sink.Close()
	defer source.Close()
	sinkURI, sourceURI := "msrp://sink.invalid:9/sink;tcp", "msrp://source.invalid:9/source;tcp"
	to := benchAuth(b, sink, sinkURI) + " " + sinkURI
	if l.both {
		to = benchAuth(b, source, sourceURI) + " " + to
	}
	frame := requestText("abcdefgh", "SEND", to, sourceURI, strings.Repeat("0123456789abcdef", l.size/16), "$", "Message-ID: 123456789", fmt.Sprintf("Byte-Range: 1-*/%d", l.size))
	batch := bytes.Repeat([]byte(frame), max(1, 65536/len(frame)))
	go io.Copy(io.Discard, source)
	b.ResetTimer()
	go func() {
		for sent := 0; sent < b.N; {
			k := min(b.N-sent, len(batch)/len(frame))
			if _, err := source.Write(batch[:k*len(frame)]); err != nil {
				return
			}
			sent += k
		}
	}()
	drain(b, sink)
	b.StopTimer()
	in.Close()
	cmd.Wait()
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "relay-µs/op")
	b.ReportMetric(cpu.Seconds()/(float64(b.N)*float64(l.size)/1e9), "relay-s/GB")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

func benchConn(b *testing.B, l load, addr string) net.Conn {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	if l.transport == "tls" {
		return tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	return nc
}

func benchAuth(b *testing.B, nc net.Conn, uri string) string {
	fmt.Fprint(nc, requestText("auth", "AUTH", "msrp://localhost;tcp", uri, "-", "$"))
	h, err := wire.NewReader(nc, wire.Limits{}).Next()
	if err != nil || h.Code != 200 {
		b.Fatal("AUTH: ", err, h.Code)
	}
	return string(h.Get("use-path"))
}

// drain reads and answers all messages.
func drain(b *testing.B, nc net.Conn) {
	rd := wire.NewReader(nc, wire.Limits{})
	var answers []byte
	for n := 0; n < b.N; {
		h, err := rd.Next()
		if err != nil {
			b.Fatal(err)
		}
		end := h.End
		for end == 0 {
			if _, end, err = rd.Body(); err != nil {
				b.Fatal(err)
			}
		}
		if end == wire.Last {
			n++
		}
		if answers = wire.AppendAnswer(answers, h, wire.OK); len(answers) > 20000 || rd.Buffered() == 0 {
			nc.Write(answers)
			answers = answers[:0]
		}
	}
	nc.Write(answers)
}
