package stack

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"

	"imp/internal/transport/websocket"
)

// BenchmarkIdleConnections tells what an idle connection costs in memory: bytes of heap and of stacks, and resident
// ones. Their clients are another process.
func BenchmarkIdleConnections(b *testing.B) {
	const n = 5000
	a := newAuthority(b)
	cfg := server(a.domains("example.com"))()
	for _, transport := range []string{"tcp", "tls", "ws", "wss"} {
		b.Run(transport, func(b *testing.B) {
			s := serveAt(b, Config{ServerTLS: func() *tls.Config { return cfg }}, nil, transport+":127.0.0.1:0")
			before := memory()
			for b.Loop() {
				peers := exec.Command(os.Args[0])
				peers.Env = append(os.Environ(), "IDLE_CLIENTS="+strings.Join([]string{transport, s.Addrs()[0].Addr, strconv.Itoa(n)}, " "))
				peers.Stderr = os.Stderr
				out, _ := peers.StdoutPipe()
				in, _ := peers.StdinPipe()
				if err := peers.Start(); err != nil {
					b.Fatal(err)
				}
				_, _ = bufio.NewReader(out).ReadString('\n')
				if got := s.Stats().Connections; got != n {
					b.Fatalf("%d connections", got)
				}
				b.StopTimer()
				now := memory()
				for i, unit := range []string{"heap-B/conn", "stack-B/conn", "rss-B/conn"} {
					b.ReportMetric(float64(now[i]-before[i])/n, unit)
				}
				b.StartTimer()
				_ = in.Close()
				_ = peers.Wait()
				waitUntil(b, func() bool { return s.Stats().Connections == 0 })
			}
		})
	}
}

func memory() (m [3]int64) {
	runtime.GC()
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	status, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	kb, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	rss, _ := strconv.ParseInt(kb, 10, 64)
	return [3]int64{int64(stats.HeapInuse), int64(stats.StackInuse), rss << 10}
}

// TestMain runs the tests, or is the other process of BenchmarkIdleConnections.
func TestMain(m *testing.M) {
	if what, ok := os.LookupEnv("IDLE_CLIENTS"); ok {
		if err := idleClients(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// idleClients opens connections, "transport address number", has a request answered on each, and keeps them until
// stdin ends.
func idleClients(what string) error {
	var transport, addr string
	var n int
	if _, err := fmt.Sscan(what, &transport, &addr, &n); err != nil {
		return err
	}
	all, failed := make([]net.Conn, n), make([]error, n)
	var wg sync.WaitGroup
	next := make(chan int)
	for range 32 {
		wg.Go(func() {
			for i := range next {
				all[i], failed[i] = idleClient(transport, addr)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(all)
	return nil
}

func idleClient(transport, addr string) (net.Conn, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if transport == "tls" || transport == "wss" {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	m := []byte(msg("OPTIONS"))
	if transport == "ws" || transport == "wss" {
		if _, _, err := (&websocket.Client{Protocol: "sip", Host: "x", Path: "/", MaxHeader: 4096}).Connect(nc); err != nil {
			return nc, err
		}
		m = websocket.AppendMessage(nil, m, true)
	}
	if _, err := nc.Write(m); err != nil {
		return nc, err
	}
	answer := make([]byte, 4096)
	if k, err := nc.Read(answer); !strings.Contains(string(answer[:k]), "200 OK") {
		return nc, fmt.Errorf("answered %q, %v", answer[:k], err)
	}
	return nc, nil
}
