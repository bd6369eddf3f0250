package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

const key = "dGhlIHNhbXBsZSBub25jZQ=="

func request(change ...string) string {
	s := "GET /sip HTTP/1.1\r\nHost: example.com\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: " + key +
		"\r\nSec-WebSocket-Version: 13\r\nOrigin: https://app.example.com\r\nSec-WebSocket-Protocol: chat, sip\r\n\r\n"
	for i := 0; i < len(change); i += 2 {
		s = strings.Replace(s, change[i], change[i+1], 1)
	}
	return s
}

// both is a connection with two ends in memory.
type both struct {
	io.Reader
	io.Writer
}

func TestAccept(t *testing.T) {
	for name, c := range map[string]struct {
		server  Server
		request string
		want    string // status line and, after a blank, what else the answer holds
	}{
		"good":                       {Server{Path: "/sip"}, request(), "101 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		"MSG-035 the sub-protocol":   {Server{}, request(), "101 Sec-WebSocket-Protocol: sip\r\n"},
		"in two fields":              {Server{}, request("chat, sip", "chat\r\nSec-WebSocket-Protocol: sip"), "101 "},
		"MSG-035 no sub-protocol":    {Server{}, request("Sec-WebSocket-Protocol: chat, sip\r\n", ""), "400 "},
		"MSG-035 others":             {Server{}, request("chat, sip", "chat, sips"), "400 "},
		"no upgrade":                 {Server{}, request("Upgrade: WebSocket\r\n", ""), "426 Upgrade: websocket"},
		"another connection":         {Server{}, request("keep-alive, Upgrade", "close"), "426 "},
		"version":                    {Server{}, request("Version: 13", "Version: 8"), "426 Sec-WebSocket-Version: 13"},
		"key":                        {Server{}, request(key, "c2hvcnQ="), "400 "},
		"no key":                     {Server{}, request("Sec-WebSocket-Key", "X"), "400 "},
		"method":                     {Server{}, request("GET", "POST"), "405 Allow: GET"},
		"HTTP/1.0":                   {Server{}, request("HTTP/1.1", "HTTP/1.0"), "405 "},
		"no host":                    {Server{}, request("Host: example.com\r\n", ""), "400 "},
		"path":                       {Server{Path: "/other"}, request(), "404 "},
		"query":                      {Server{Path: "/sip"}, request("/sip", "/sip?a=b"), "101 "},
		"not HTTP":                   {Server{}, "REGISTER sip:example.com SIP/2.0\r\n\r\n", "400 "},
		"MSG-047 an allowed origin":  {Server{Origins: []string{"https://b.example", "https://APP.example.com/"}}, request(), "101 "},
		"MSG-047 another origin":     {Server{Origins: []string{"https://app.example.net"}}, request(), "403 Connection: close"},
		"MSG-047 no origin":          {Server{Origins: []string{"https://b.example"}}, request("Origin: https://app.example.com\r\n", ""), "101 "},
		"MSG-047 a session cookie":   {Server{Check: session}, request("Origin", "Cookie: a=b; session=good\r\nOrigin"), "101 "},
		"MSG-047 401 without cookie": {Server{Check: session}, request(), `401 Www-Authenticate: Digest realm="x"`},
		"long":                       {Server{}, request("Origin", "X: "+strings.Repeat("x", 4000)+"\r\nOrigin"), "431 "},
	} {
		c.server.Protocol, c.server.MaxHeader = "sip", 2000
		var out bytes.Buffer
		rest, err := c.server.Accept(both{strings.NewReader(c.request + "more"), &out})
		status, holds, _ := strings.Cut(c.want, " ")
		if !strings.HasPrefix(out.String(), "HTTP/1.1 "+status+" ") || !strings.Contains(out.String(), holds) {
			t.Errorf("%s: %q", name, out.String())
		}
		var refused *Refused
		if status == "101" && (err != nil || string(rest) != "more") || status != "101" && (!errors.As(err, &refused) || fmt.Sprint(refused.Status) != status) {
			t.Errorf("%s: %q, %v", name, rest, err)
		}
	}
}

func session(r *http.Request) (int, http.Header) {
	if c, err := r.Cookie("session"); err == nil && c.Value == "good" {
		return 0, nil
	}
	return 401, http.Header{"Www-Authenticate": {`Digest realm="x"`}}
}

func TestConnect(t *testing.T) {
	run := func(s Server, c Client, extra string) (http.Header, []byte, error) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		s.Protocol, s.MaxHeader, c.Protocol, c.MaxHeader, c.Host = "sip", 2000, "sip", 2000, "example.com:8080"
		go func() {
			_, _ = s.Accept(theirs)
			_, _ = io.WriteString(theirs, extra)
			_ = theirs.Close()
		}()
		return c.Connect(ours)
	}
	if _, _, err := run(Server{Path: "/ws"}, Client{Path: "/ws"}, ""); err != nil {
		t.Error(err)
	}
	var seen *http.Request
	check := func(r *http.Request) (int, http.Header) { seen = r; return 401, http.Header{"X": {"y"}} }
	_, _, err := run(Server{Check: check}, Client{Path: "/", Header: http.Header{"Cookie": {"a=b"}}}, "")
	var refused *Refused
	if !errors.As(err, &refused) || refused.Status != 401 || refused.Header.Get("X") != "y" {
		t.Errorf("refused: %v", err)
	}
	if seen.Host != "example.com:8080" || seen.Header.Get("Cookie") != "a=b" {
		t.Errorf("the server saw %+v", seen)
	}
}

func TestConnectChecks(t *testing.T) {
	good := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Protocol: sip\r\n\r\nmore"
	for name, c := range map[string]struct {
		answer string
		want   error
	}{
		"good":                    {good, nil},
		"accept":                  {strings.Replace(good, "ACCEPT", "x", 1), errAccept},
		"upgrade":                 {strings.Replace(good, "Upgrade: websocket", "Upgrade: h2c", 1), errUpgrade},
		"MSG-035 no sub-protocol": {strings.Replace(good, "Sec-WebSocket-Protocol: sip\r\n", "", 1), errProtocol},
		"MSG-035 another":         {strings.Replace(good, "Protocol: sip", "Protocol: chat", 1), errProtocol},
		"extension":               {strings.Replace(good, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 1), errExtra},
		"long":                    {strings.Replace(good, "\r\n\r\n", "\r\nX: "+strings.Repeat("x", 3000)+"\r\n\r\n", 1), errHeader},
		"cut":                     {good[:100], io.EOF},
	} {
		ours, theirs := net.Pipe()
		go func() {
			buf := make([]byte, 2000)
			n, _ := theirs.Read(buf)
			_, after, _ := strings.Cut(string(buf[:n]), "Sec-WebSocket-Key: ")
			sent, _, _ := strings.Cut(after, "\r\n")
			_, _ = io.WriteString(theirs, strings.Replace(c.answer, "ACCEPT", acceptOf(sent), 1))
			_ = theirs.Close()
		}()
		_, rest, err := (&Client{Protocol: "sip", Host: "example.com", Path: "/", MaxHeader: 2000}).Connect(ours)
		if !errors.Is(err, c.want) || err == nil && string(rest) != "more" {
			t.Errorf("%s: %q, %v", name, rest, err)
		}
		_ = ours.Close()
	}
}

func FuzzAccept(f *testing.F) {
	f.Add(request())
	f.Fuzz(func(t *testing.T, s string) {
		server := Server{Protocol: "sip", MaxHeader: 2000}
		_, err := server.Accept(both{strings.NewReader(s), io.Discard})
		if err == nil && !strings.Contains(s, "sip") {
			t.Errorf("taken: %q", s)
		}
	})
}
