package stack

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
)

func packed(w func(io.Writer) io.WriteCloser, s string) string {
	var b bytes.Buffer
	z := w(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

func zlibbed(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
func gzipped(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
func raw(w io.Writer) io.WriteCloser     { z, _ := flate.NewWriter(w, 9); return z }

func TestInflate(t *testing.T) {
	var body, fields atomic.Value
	s := serve(t, Config{MaxInflated: 200_000, MaxInflateRatio: 50}, func(s *Stack) {
		s.Handle("PUBLISH", func(_ context.Context, r *Request) *Response {
			body.Store(string(r.Body()))
			fields.Store(r.Request.String())
			return Answer(200)
		})
	})
	plain := strings.Repeat("<presence/>", 50)
	var noise strings.Builder // does not shrink
	for i := range 100_000 {
		noise.WriteByte(byte(i * i >> 7))
	}
	for _, tt := range []struct {
		name, coding, body string
		status             string
		want               string
	}{
		{"EVT-150 zlib", "Content-Encoding: deflate", packed(zlibbed, plain), "200 OK", plain},
		{"EVT-150 raw deflate", "e: Deflate", packed(raw, plain), "200 OK", plain},
		{"EVT-150 gzip", "Content-Encoding: gzip", packed(gzipped, plain), "200 OK", plain},
		{"EVT-150 one after the other", "Content-Encoding: deflate, gzip", packed(gzipped, packed(zlibbed, plain)), "200 OK", plain},
		{"EVT-150 in two fields", "Content-Encoding: deflate\r\ne: gzip", packed(gzipped, packed(zlibbed, plain)), "200 OK", plain},
		{"identity", "Content-Encoding: identity", plain, "200 OK", plain},
		{"no body", "Content-Encoding: compress", "", "200 OK", ""},
		{"EVT-150 not in that coding", "Content-Encoding: gzip", packed(zlibbed, plain), "400 Body is not in the coding gzip", ""},
		{"EVT-150 cut short", "Content-Encoding: deflate", packed(zlibbed, plain)[:20], "400 Body is not in the coding deflate", ""},
		{"EVT-151 unknown", "Content-Encoding: br", plain, "415 Unsupported Media Type", ""},
		{"EVT-151 unknown below a known one", "Content-Encoding: br, gzip", packed(gzipped, plain), "415 Unsupported Media Type", ""},
		{"EVT-151 too many", "Content-Encoding: gzip, gzip, gzip, gzip", plain, "415 Unsupported Media Type", ""},
		{"EVT-152 a bomb by ratio", "Content-Encoding: deflate", packed(zlibbed, repeated('x', 100_000)), "413 Request Entity Too Large", ""},
		{"EVT-152 a bomb in a bomb", "Content-Encoding: deflate, deflate", packed(zlibbed, packed(zlibbed, repeated('x', 10_000_000))), "413 Request Entity Too Large", ""},
		{"EVT-152 too large", "Content-Encoding: gzip", packed(gzipped, noise.String()+noise.String()+"x"), "413 Request Entity Too Large", ""},
		{"as large as may be", "Content-Encoding: gzip", packed(gzipped, noise.String()+noise.String()), "200 OK", noise.String() + noise.String()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := dial(t, s, "tcp")
			body.Store("")
			answer := w.ask(msgBody("PUBLISH", tt.body, tt.coding))
			if status(answer) != tt.status || body.Load() != tt.want {
				t.Errorf("got %q, body %.60q", answer, body.Load())
			}
			if strings.HasPrefix(tt.status, "415") && field(answer, "Accept-Encoding") != "deflate, gzip, identity" {
				t.Errorf("got %q", answer)
			}
			if strings.HasPrefix(tt.status, "200") && tt.body != "" {
				if head := fields.Load().(string); strings.Contains(head, "Encoding") || strings.Contains(head, "\ne:") {
					t.Errorf("the handler sees %q", head)
				}
			}
		})
	}
}

// passes is a proxy that keeps what it is given.
type passes struct{ body string }

func (*passes) Takes(*Passing) bool { return true }

func (p *passes) Forward(_ context.Context, r *Passing) *Response {
	p.body = string(r.Body())
	return Answer(202)
}

func TestInflateNotForOthers(t *testing.T) {
	p := new(passes)
	s := serve(t, Config{}, func(s *Stack) { s.Relay(p) })
	small := packed(zlibbed, "hello")
	t.Run("EVT-150 what is passed on stays as it came", func(t *testing.T) {
		wants(t, dial(t, s, "tcp").ask(msgBody("MESSAGE", small, "Content-Encoding: deflate")), 202)
		if p.body != small {
			t.Errorf("passed %q", p.body)
		}
	})
}
