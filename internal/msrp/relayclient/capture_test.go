package relayclient

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"imp/internal/msrp/session"
)

// TestWireshark has another implementation read sessions with and without relays: tshark finds nothing malformed, no
// error, and in each frame what was to be expected.
func TestWireshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	for _, transport := range []string{"tcp", "tls"} {
		t.Run("direct over "+transport, func(t *testing.T) {
			c := new(capture)
			a, b := c.direct(t, transport)
			talk(t, a, b)
			kinds := c.judge(t, tshark)
			wants(t, kinds, "SEND $", "SEND +", "SEND #", "REPORT 200 $", "200 $", "413 $", "481 $")
		})
		t.Run("through relays over "+transport, func(t *testing.T) {
			c := new(capture)
			one, two := startRelay(t, transport), startRelay(t, transport)
			na, nb := c.node(t), c.node(t)
			a, b := behind(t, na, newClient(t, "alice", na, one, two)), behind(t, nb, newClient(t, "bob", nb, one))
			start(t, a, b)
			talk(t, a, b)
			a.Close()
			b.Close()
			kinds := c.judge(t, tshark)
			wants(t, kinds, "AUTH $", "401 $", "200 $", "SEND $", "SEND +", "SEND #", "REPORT 200 $", "413 $")
		})
	}
}

func wants(t *testing.T, kinds map[string]int, names ...string) {
	t.Helper()
	for _, n := range names {
		if kinds[n] == 0 {
			t.Errorf("tshark saw no %q, but %v", n, kinds)
		}
	}
}

// talk has messages go both ways: whole, in chunks, empty, aborted, refused.
func talk(t *testing.T, a, b *session.Session) {
	t.Helper()
	text := strings.Repeat("a line of text, ümlauts too\r\n", 400)
	for i, m := range []session.Message{
		{Type: "text/plain;charset=utf-8", Body: strings.NewReader("hello"), Size: 5},
		{Type: "text/plain", Body: strings.NewReader(text), Size: int64(len(text)), Chunk: 2048, SuccessReport: true},
		{Type: "text/plain", Body: strings.NewReader(text), Size: -1, Chunk: 4096, SuccessReport: true},
		{Type: "text/plain", Body: strings.NewReader(""), Size: 0, SuccessReport: true},
		{Type: "message/cpim", Body: strings.NewReader("To: <im:bob@example.com>\r\n\r\nContent-Type: text/plain\r\n\r\nhi"), Size: -1,
			Disposition: "render", Header: []session.Field{{Name: "X-Field", Value: "a: b"}}},
	} {
		from, to := a, b
		if i%2 == 1 {
			from, to = b, a
		}
		sent, err := from.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		in, err := to.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, in); err != nil {
			t.Error(err)
		}
		in.Close()
		if err := sent.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	aborted(t, a, b, text[:5000])
	refused(t, a, b)
}

// aborted has a message end before its end.
func aborted(t *testing.T, a, b *session.Session, text string) {
	t.Helper()
	broken, over := errors.New("the disk is broken"), make(chan error, 1)
	body, more := io.Pipe()
	go func() {
		_, err := a.Send(t.Context(), session.Message{Type: "text/plain", Size: 100_000, Body: body})
		over <- err
	}()
	go io.WriteString(more, text)
	in, err := b.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(in, make([]byte, 2048)); err != nil {
		t.Error(err)
	}
	more.CloseWithError(broken)
	if err := <-over; !errors.Is(err, broken) {
		t.Errorf("a broken body: %v", err)
	}
	if _, err := io.Copy(io.Discard, in); err == nil {
		t.Error("an aborted message is whole")
	}
	in.Close()
}

// refused has a message refused while it comes.
func refused(t *testing.T, a, b *session.Session) {
	t.Helper()
	body, more := io.Pipe()
	over := make(chan error, 1)
	go func() {
		sent, err := a.Send(t.Context(), session.Message{Type: "text/plain", Body: body, Size: -1, Chunk: 2048})
		if err == nil {
			err = sent.Wait(t.Context())
		}
		body.CloseWithError(io.ErrClosedPipe)
		over <- err
	}()
	told := make(chan struct{})
	go func() {
		piece := []byte(strings.Repeat("more and more ", 100))
		for n := 0; ; n++ {
			if n == 100 { // enough that some arrives, and not much
				<-told
			}
			if _, err := more.Write(piece); err != nil {
				return
			}
		}
	}()
	in, err := b.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in.Refuse(413)
	close(told)
	if err, status := <-over, (*session.StatusError)(nil); !errors.As(err, &status) || status.Code != 413 {
		t.Errorf("a message that is refused: %v", err)
	}
}

// capture is what nodes write and read.
type capture struct {
	mu      sync.Mutex
	streams []*stream
	packets bytes.Buffer
	frames  []frame
}

// stream is a connection as one of its ends sees it.
type stream struct {
	local, remote string
	ports         [2]uint16 // of the end that reads and of that which writes
	seq           [2]uint32
	open          [2][]byte // a frame that has not ended
}

// frame is one that goes into a packet of its own: what kind it is, as our eyes see it.
type frame struct{ id, kind, flag string }

func (c *capture) node(t *testing.T) *session.Node {
	n := session.New(session.Config{ClientTLS: clientTLS, Trace: c.record})
	t.Cleanup(func() { n.Close() })
	return n
}

// direct makes a session without a relay, and tries one that there is not.
func (c *capture) direct(t *testing.T, transport string) (a, b *session.Session) {
	t.Helper()
	cert, err := session.NewCertificate(time.Now(), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	na, nb := session.New(session.Config{Certificate: &cert, Trace: c.record}), session.New(session.Config{Certificate: &cert, Trace: c.record})
	t.Cleanup(func() { na.Close(); nb.Close() })
	l, err := nb.Listen(t.Context(), transport, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open := func(n *session.Node, addr string) *session.Session {
		u, err := n.NewURI(transport, addr)
		if err != nil {
			t.Fatal(err)
		}
		s, err := n.Open(session.Own{URI: u, Stream: 1})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b = open(na, "127.0.0.1:9"), open(nb, l.Addr())
	lost, nobody := open(na, "127.0.0.1:9"), b.Path()
	nobody[0].SessionID += "x"
	var prints []session.Fingerprint
	if transport == "tls" {
		prints = append(prints, session.FingerprintOf(cert.Certificate[0]))
	}
	for _, p := range []struct {
		s    *session.Session
		peer session.Peer
	}{{b, session.Peer{Path: a.Path()}}, {a, session.Peer{Path: b.Path(), Decision: session.Decision{Active: true}}}} {
		p.peer.Fingerprints = prints
		if err := p.s.Start(t.Context(), p.peer); err != nil {
			t.Fatal(err)
		}
	}
	peer := session.Peer{Path: nobody, Decision: session.Decision{Active: true}, Fingerprints: prints}
	if err := lost.Start(t.Context(), peer); err != nil {
		t.Fatal(err)
	}
	<-lost.Done()
	if status := (*session.StatusError)(nil); !errors.As(lost.Err(), &status) || status.Code != 481 {
		t.Errorf("a session that there is not: %v", lost.Err())
	}
	return a, b
}

// record cuts a piece of a connection into frames.
func (c *capture) record(r session.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.streams, func(s *stream) bool { return s.local == r.Local && s.remote == r.Remote })
	if i < 0 {
		i = len(c.streams)
		c.streams = append(c.streams, &stream{local: r.Local, remote: r.Remote, ports: [2]uint16{2855, uint16(30000 + i)}, seq: [2]uint32{1, 1}})
	}
	s, way := c.streams[i], 0
	if r.Out {
		way = 1
	}
	s.open[way] = append(s.open[way], r.Data...)
	for {
		f, n := cut(s.open[way])
		if n == 0 {
			return
		}
		c.frames = append(c.frames, f)
		c.packet(s, way, s.open[way][:n])
		s.open[way] = s.open[way][n:]
	}
}

// cut finds the frame at the beginning of data, and its length; 0 when it has not ended.
func cut(data []byte) (f frame, n int) {
	line, _, ok := bytes.Cut(data, []byte("\r\n"))
	if !ok {
		return f, 0
	}
	words := strings.SplitN(string(line), " ", 4)
	if len(words) < 3 || words[0] != "MSRP" {
		return frame{id: "?", kind: string(line)}, len(line) + 2
	}
	end := []byte("\r\n-------" + words[1])
	for from := 0; ; {
		at := bytes.Index(data[from:], end)
		if at < 0 {
			return f, 0
		}
		after := data[from+at+len(end):]
		if len(after) < 3 {
			return f, 0
		}
		if bytes.IndexByte([]byte("$+#"), after[0]) >= 0 && after[1] == '\r' && after[2] == '\n' {
			return frame{words[1], words[2], string(after[:1])}, from + at + len(end) + 3
		}
		from += at + 1
	}
}

// packet writes bytes as one packet of IPv4 and TCP.
func (c *capture) packet(s *stream, way int, data []byte) {
	if c.packets.Len() == 0 { // the head of the file: of microseconds, packets of raw IP
		for _, v := range []any{uint32(0xa1b2c3d4), uint16(2), uint16(4), int32(0), uint32(0), uint32(1 << 17), uint32(101)} {
			binary.Write(&c.packets, binary.LittleEndian, v)
		}
	}
	size := 40 + len(data)
	for _, v := range []uint32{uint32(len(c.frames)), 0, uint32(size), uint32(size)} {
		binary.Write(&c.packets, binary.LittleEndian, v)
	}
	head := make([]byte, 40)
	head[0], head[8], head[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(head[2:], uint16(size))
	copy(head[12:], []byte{127, 0, 0, byte(1 + way), 127, 0, 0, byte(2 - way)})
	binary.BigEndian.PutUint16(head[20:], s.ports[way])
	binary.BigEndian.PutUint16(head[22:], s.ports[1-way])
	binary.BigEndian.PutUint32(head[24:], s.seq[way])
	binary.BigEndian.PutUint32(head[28:], s.seq[1-way])
	head[32], head[33] = 0x50, 0x18 // five words; PSH and ACK
	binary.BigEndian.PutUint16(head[34:], 65535)
	c.packets.Write(head)
	c.packets.Write(data)
	s.seq[way] += uint32(len(data))
}

// judge has tshark read the capture, compares what it sees with what was cut, and counts the kinds of frames. What a
// relay still has to hand on of a message that was refused is left out.
func (c *capture) judge(t *testing.T, tshark string) map[string]int {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	file := filepath.Join(t.TempDir(), "msrp.pcap")
	if err := os.WriteFile(file, c.packets.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	fields := []string{"_ws.malformed", "_ws.expert.severity", "_ws.expert.message", "msrp.transaction.id", "msrp.method", "msrp.status.code",
		"msrp.cnt.flg", "msrp.to.path", "msrp.from.path", "msrp.messageid", "msrp.status"}
	args := []string{"-r", file, "-d", "tcp.port==2855,msrp", "-T", "fields", "-E", "aggregator=|"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command(tshark, args...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v %s", err, &complaints)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(c.frames) {
		t.Fatalf("tshark saw %d packets of %d", len(lines), len(c.frames))
	}
	kinds := make(map[string]int)
	for i, line := range lines {
		v := strings.Split(line, "\t")
		if len(v) != len(fields) {
			t.Fatalf("tshark printed %q", line)
		}
		kinds[c.frames[i].compare(t, v)]++
	}
	return kinds
}

// severityError is how tshark numbers errors; warnings and notes are lower.
const severityError = "8388608"

// compare compares a frame with what tshark printed of it, and names its kind.
func (f frame) compare(t *testing.T, v []string) (kind string) {
	t.Helper()
	if v[0] != "" || slices.Contains(strings.Split(v[1], "|"), severityError) {
		t.Errorf("tshark about a frame: %q", v)
	}
	if got := (frame{v[3], v[4] + v[5], v[6]}); got != (frame{f.id + "|" + f.id, f.kind, f.flag}) { // in its first line and its last
		t.Errorf("tshark saw %+v in a frame that is %+v", got, f)
	}
	if v[7] == "" || v[8] == "" || (f.kind == "SEND" || f.kind == "REPORT") && v[9] == "" {
		t.Errorf("tshark misses header fields of a frame: %q", v)
	}
	if f.kind == "REPORT" {
		if status := strings.Fields(v[10]); len(status) > 1 && status[0] == "000" {
			return fmt.Sprint(f.kind, " ", status[1], " ", f.flag)
		}
		t.Errorf("the status of a REPORT is %q", v[10])
	}
	return f.kind + " " + f.flag
}
