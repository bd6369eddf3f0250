// Package sdp implements session descriptions (RFC 8866) as MSRP uses them: the media attributes of RFC 4975 section 8,
// RFC 4145 and RFC 6135 (setup), RFC 6714 (msrp-cema), RFC 8122 (fingerprint) and RFC 5547 (files), and what an offer
// and its answer have to say to each other (RFC 3264).
//
// The lines are read and written by pion/sdp, the attributes here. Media of other kinds are kept as far as it takes to
// refuse them.
package sdp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

// MediaType of a session description.
const MediaType = "application/sdp"

// Limits of what is read.
const (
	MaxBytes = 64 << 10
	MaxMedia = 64
	maxLines = 2048
)

// Description is a session description.
type Description struct {
	User    string // of the o-line; "" = "-"
	ID      uint64 // of the session
	Version uint64 // goes up when the description changes (RFC 3264 section 8)
	Origin  string // host of the o-line
	Host    string // of the c-line of the session; "" = none
	Media   []*Media
}

// Direction is who sends user content.
type Direction string

// Directions as seen from who describes them.
const (
	SendRecv Direction = "sendrecv"
	SendOnly Direction = "sendonly"
	RecvOnly Direction = "recvonly"
	Inactive Direction = "inactive"
)

// Reversed is the direction as the other side sees it.
func (d Direction) Reversed() Direction {
	switch d {
	case SendOnly:
		return RecvOnly
	case RecvOnly:
		return SendOnly
	}
	return d
}

// Setup says who connects (RFC 4145 section 4, RFC 6135 section 4.2).
type Setup string

// The values of setup; without one the offerer connects. holdconn is read as if it were not there.
const (
	NoSetup Setup = ""
	Active  Setup = "active"
	Passive Setup = "passive"
	ActPass Setup = "actpass"
)

// Media is one m-line with what belongs to it.
type Media struct {
	Kind      string // "message" for MSRP
	Port      int    // 0 = refused, or ended
	Protocol  string // "TCP/MSRP" or "TCP/TLS/MSRP"
	Formats   string // "*"
	Host      string // of its own c-line, or that of the session
	Title     string
	Direction Direction // "" = sendrecv

	Path         string   // MSRP URIs with one space between, the next hop first
	AcceptTypes  []string // media types in lower case
	WrappedTypes []string
	MaxSize      int64 // bytes of one message; 0 = not told
	Setup        Setup
	CEMA         bool
	Fingerprints []string // values such as "sha-256 4A:…"
	File         *File    // nil = no file transfer
	ChatRoom     string   // value of chatroom; meaningful with HasChatRoom
	HasChatRoom  bool

	own bool // Host is of its own c-line
}

// IsMSRP tells whether a line is about MSRP.
func (m *Media) IsMSRP() bool {
	return m.Kind == "message" && (m.Protocol == "TCP/MSRP" || m.Protocol == "TCP/TLS/MSRP")
}

// TLS tells whether the next hop is reached over TLS.
func (m *Media) TLS() bool { return m.Protocol == "TCP/TLS/MSRP" }

// errors of what is no session description.
var (
	errSize    = fmt.Errorf("more than %d bytes", MaxBytes)
	errMedia   = fmt.Errorf("more than %d m-lines", MaxMedia)
	errVersion = errors.New("it does not begin with v=0")
	errLines   = fmt.Errorf("more than %d lines", maxLines)
)

// Parse reads a session description. The error names the m-line, counted from 1, and the attribute.
func Parse(b []byte) (*Description, error) {
	d, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("reading a session description: %w", err)
	}
	return d, nil
}

func parse(b []byte) (*Description, error) {
	text, lines, err := foreign(b)
	if err != nil {
		return nil, err
	}
	var p sdp.SessionDescription
	if err := p.UnmarshalString(text); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "sdp: "))
	}
	d := &Description{User: p.Origin.Username, ID: p.Origin.SessionID, Version: p.Origin.SessionVersion,
		Origin: p.Origin.UnicastAddress, Host: hostOf(p.ConnectionInformation)}
	base := &Media{Host: d.Host}
	for _, a := range p.Attributes {
		if err := base.session(a.Key, a.Value); err != nil {
			return nil, err
		}
	}
	if len(p.MediaDescriptions) != len(lines) {
		return nil, errors.New("an m-line is out of its place")
	}
	for i, pm := range p.MediaDescriptions {
		m, err := media(pm, base, lines[i])
		if err != nil {
			return nil, fmt.Errorf("m-line %d: %w", i+1, err)
		}
		d.Media = append(d.Media, m)
	}
	return d, nil
}

// foreign replaces the m-lines of other kinds, some of which pion does not know, and gives them back; "" = not replaced.
func foreign(b []byte) (text string, lines []string, err error) {
	if len(b) > MaxBytes {
		return "", nil, errSize
	}
	all := strings.Split(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
	if len(all) > maxLines {
		return "", nil, errLines
	}
	if n := len(all); all[n-1] == "" {
		all = all[:n-1]
	}
	for i, line := range all {
		// pion overlooks what stands between lines and fields.
		if len(line) < 2 || line[1] != '=' || line[0] < 'a' || line[0] > 'z' || strings.ContainsAny(line, "\r\x00") {
			return "", nil, fmt.Errorf("line %d: %q is not of the form x=…", i+1, line)
		}
		if line[0] != 'm' {
			continue
		}
		if strings.HasPrefix(line, "m=message ") && strings.Contains(line, "MSRP") {
			lines = append(lines, "")
			continue
		}
		lines = append(lines, line)
		all[i] = "m=application 9 TCP *"
	}
	if len(lines) > MaxMedia {
		return "", nil, errMedia
	}
	if len(all) == 0 || all[0] != "v=0" {
		return "", nil, errVersion
	}
	return strings.Join(all, "\r\n") + "\r\n", lines, nil
}

// session takes an attribute of the session, which counts for every media line without its own.
func (m *Media) session(key, value string) (err error) {
	switch key {
	case "sendrecv", "sendonly", "recvonly", "inactive":
		m.Direction = Direction(key)
	case "setup":
		m.Setup, err = parseSetup(value)
	case "fingerprint":
		m.Fingerprints = append(m.Fingerprints, value)
	}
	return err
}

// media reads one media description. raw is its m-line when that is of another kind.
func media(p *sdp.MediaDescription, base *Media, raw string) (*Media, error) {
	m := &Media{Kind: p.MediaName.Media, Port: p.MediaName.Port.Value, Protocol: strings.Join(p.MediaName.Protos, "/"),
		Formats: strings.Join(p.MediaName.Formats, " "), Host: base.Host, Direction: base.Direction, Setup: base.Setup}
	if p.MediaTitle != nil {
		m.Title = string(*p.MediaTitle)
	}
	if h := hostOf(p.ConnectionInformation); h != "" {
		m.Host, m.own = h, true
	}
	if raw != "" {
		return m, m.other(raw)
	}
	for _, a := range p.Attributes {
		if err := m.take(a.Key, a.Value); err != nil {
			return nil, fmt.Errorf("attribute %s: %w", a.Key, err)
		}
	}
	if len(m.Fingerprints) == 0 {
		m.Fingerprints = base.Fingerprints
	}
	if m.File != nil {
		m.File.complete()
	}
	return m, nil
}

// other takes the m-line of another kind as it is.
func (m *Media) other(raw string) error {
	words := strings.Fields(raw[len("m="):])
	if len(words) < 4 {
		return fmt.Errorf("%q: kind, port, protocol and format are needed", raw)
	}
	port, _, _ := strings.Cut(words[1], "/")
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("port %q is no number up to 65535", words[1])
	}
	m.Kind, m.Port, m.Protocol, m.Formats = words[0], int(n), words[2], strings.Join(words[3:], " ")
	return nil
}

func hostOf(c *sdp.ConnectionInformation) string {
	if c == nil || c.Address == nil {
		return ""
	}
	return c.Address.Address
}

func parseSetup(value string) (Setup, error) {
	switch s := Setup(strings.ToLower(strings.TrimSpace(value))); s {
	case Active, Passive, ActPass:
		return s, nil
	case "holdconn":
		return NoSetup, nil
	}
	return NoSetup, fmt.Errorf("setup %q is none of active, passive and actpass", value)
}

// take reads one attribute of a message line. connection (RFC 4145) is not read: RFC 6135 section 4.4 gives it no
// meaning.
func (m *Media) take(key, value string) (err error) {
	switch key {
	case "sendrecv", "sendonly", "recvonly", "inactive":
		m.Direction = Direction(key)
	case "path":
		m.Path = strings.Join(strings.Fields(value), " ")
	case "accept-types":
		m.AcceptTypes, err = typeList(value)
	case "accept-wrapped-types":
		m.WrappedTypes, err = typeList(value)
	case "max-size":
		m.MaxSize, err = integer(value)
	case "setup":
		m.Setup, err = parseSetup(value)
	case "msrp-cema":
		m.CEMA = true
	case "fingerprint":
		m.Fingerprints = append(m.Fingerprints, value)
	case "chatroom":
		m.ChatRoom, m.HasChatRoom = value, true
	case "file-selector", "file-transfer-id", "file-disposition", "file-date", "file-icon", "file-range":
		err = m.takeFile(key, value)
	}
	return err
}

// integer reads a number without sign that fits into 63 bits.
func integer(s string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 || strings.HasPrefix(strings.TrimSpace(s), "+") {
		return 0, fmt.Errorf("%q is no number of octets", s)
	}
	return n, nil
}

// typeList reads media ranges with spaces between (RFC 4975 section 8.6), without their parameters.
func typeList(value string) ([]string, error) {
	var list []string
	for _, word := range strings.Fields(value) {
		t, _, _ := strings.Cut(strings.ToLower(word), ";")
		if t == "*/*" {
			t = "*"
		}
		kind, sub, ok := strings.Cut(t, "/")
		if t != "*" && (!ok || !isToken(kind) || !isToken(sub)) {
			return nil, fmt.Errorf("%q is no media type", word)
		}
		list = append(list, t)
	}
	if list == nil {
		return nil, errors.New("no media type in it")
	}
	return list, nil
}

// isToken: RFC 4566 token, which media types are made of too.
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]`, r)
	}) < 0
}
