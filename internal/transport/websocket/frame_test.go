package websocket

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// readAll gives the reader some more bytes at a time, as a connection does.
func readAll(r *Reader, b []byte, step int) (frames []Frame, err error) {
	b = bytes.Clone(b)
	var have []byte
	for len(b) > 0 {
		n := min(step, len(b))
		have = append(have, b[:n]...)
		b = b[n:]
		for {
			f, used, err := r.Next(have)
			if err != nil {
				return frames, err
			}
			if used == 0 {
				break
			}
			if f.Op != Continuation {
				frames = append(frames, Frame{f.Op, bytes.Clone(f.Payload)})
			}
			have = have[used:]
		}
	}
	return frames, nil
}

func TestRead(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	for name, c := range map[string]struct {
		bytes  []byte
		server bool
		want   string // "op payload" of each
	}{
		"text":                       {unhex("8105 48656c6c6f"), false, "1 Hello"},
		"masked":                     {unhex("8185 37fa213d 7f9f4d5158"), true, "1 Hello"},
		"fragments":                  {unhex("0103 48656c 8002 6c6f"), false, "1 Hello"},
		"a ping between fragments":   {unhex("0203 48656c 8903 616263 0000 8002 6c6f"), false, "9 abc|2 Hello"},
		"a character over fragments": {unhex("0101 c3 8001 bc"), false, "1 ü"},
		"empty":                      {unhex("8100 8a00"), false, "1 |10 "},
		"16 bits of length":          {AppendFrame(nil, Text, []byte(long[:300]), true), true, "1 " + long[:300]},
		"64 bits of length":          {AppendFrame(nil, Text, []byte(long), false), false, "1 " + long},
		"binary":                     {unhex("8202 ff00"), false, "2 \xff\x00"},
		"close":                      {unhex("8802 03e9"), false, "8 \x03\xe9"},
	} {
		for _, step := range []int{1, 7, 1 << 20} {
			frames, err := readAll(&Reader{Server: c.server, Max: 1 << 20}, c.bytes, step)
			var got []string
			for _, f := range frames {
				got = append(got, string('0'+rune(f.Op%10))+" "+string(f.Payload))
				if f.Op == Pong {
					got[len(got)-1] = "1" + got[len(got)-1]
				}
			}
			if s := strings.Join(got, "|"); s != c.want || err != nil {
				t.Errorf("%s: %.40q, %v", name, s, err)
			}
		}
	}
}

func TestReadErrors(t *testing.T) {
	for name, c := range map[string]struct {
		bytes  []byte
		server bool
		want   *Error
	}{
		"a reserved bit":             {unhex("c100"), false, errReserved},
		"an unknown data opcode":     {unhex("8300"), false, errOpcode},
		"an unknown control opcode":  {unhex("8b00"), false, errOpcode},
		"a client that masks not":    {unhex("8100"), true, errMask},
		"a server that masks":        {unhex("8180 00000000"), false, errMask},
		"a fragmented ping":          {unhex("0900"), false, errControl},
		"a long ping":                {unhex("897e 007e"), false, errControl},
		"a continuation of nothing":  {unhex("8000"), false, errOrder},
		"a message inside another":   {unhex("0100 8100"), false, errOrder},
		"text that is not UTF-8":     {unhex("8101 ff"), false, errUTF8},
		"half a character":           {unhex("0101 c3 8000"), false, errUTF8},
		"too long":                   {unhex("8165"), false, errTooBig},
		"too long in 64 bits":        {unhex("817f ffffffffffffffff"), false, errTooBig},
		"too long with its fragment": {append(AppendFrame(nil, Text, make([]byte, 100), false)[:0:0], append([]byte{1, 100}, make([]byte, 100)...)...), false, nil},
		"half a close code":          {unhex("8801 03"), false, errCloseFrame},
		"a close code of no frame":   {unhex("8802 03ed"), false, errCloseFrame},
		"a close code below all":     {unhex("8802 0001"), false, errCloseFrame},
	} {
		if c.want == nil {
			c.bytes, c.want = append(c.bytes, 0x80, 1), errTooBig
		}
		if _, err := readAll(&Reader{Server: c.server, Max: 100}, c.bytes, 1); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := &Reader{Max: 100}
	ping := append(append([]byte{1, 100}, make([]byte, 100)...), 0x89, 2, 'a', 'b')
	if frames, err := readAll(r, ping, 1000); err != nil || len(frames) != 1 || r.Pending() != 100 || !r.Fragmented() {
		t.Errorf("a ping inside the longest message: %v, %v", frames, err)
	}
}

func TestAppend(t *testing.T) {
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"text":   {AppendMessage(nil, []byte("ü"), false), "8102c3bc"},
		"binary": {AppendMessage(nil, []byte{0xff}, false), "8201ff"},
		"close":  {AppendClose(nil, CloseGoingAway, false), "880203e9"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		payload := bytes.Repeat([]byte("0123456789"), n/10+1)[:n]
		b := AppendFrame([]byte("before"), Binary, payload, true)
		if n > 8 && bytes.Contains(b, payload[:8]) {
			t.Errorf("%d bytes are not masked", n)
		}
		f, used, err := (&Reader{Server: true, Max: n}).Next(b[6:])
		if err != nil || used != len(b)-6 || !bytes.Equal(f.Payload, payload) {
			t.Errorf("%d bytes became %d, %v", n, len(f.Payload), err)
		}
	}
	if (Frame{Op: Close}).CloseCode() != CloseNormal || (Frame{Close, []byte{3, 0xf1}}).CloseCode() != CloseTooBig {
		t.Error("the code of a close frame")
	}
}

func FuzzReader(f *testing.F) {
	f.Add(unhex("0103 48656c 8903 616263 8002 6c6f"), false)
	f.Add(unhex("8185 37fa213d 7f9f4d5158"), true)
	f.Fuzz(func(t *testing.T, b []byte, server bool) {
		one, errOne := readAll(&Reader{Server: server, Max: 1000}, b, 1)
		all, errAll := readAll(&Reader{Server: server, Max: 1000}, b, len(b)+1)
		if len(one) != len(all) || (errOne == nil) != (errAll == nil) {
			t.Fatalf("%v, %v in one piece, %v, %v byte by byte", all, errAll, one, errOne)
		}
		for i := range one {
			if one[i].Op != all[i].Op || !bytes.Equal(one[i].Payload, all[i].Payload) {
				t.Errorf("%v and %v", one[i], all[i])
			}
		}
	})
}
