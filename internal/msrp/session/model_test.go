package session

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"imp/internal/msrp/wire"
)

func path(t *testing.T, s string) wire.Path {
	t.Helper()
	p, err := wire.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func names(_ context.Context, host string) ([]netip.Addr, error) {
	switch host {
	case "a.example.com":
		return []netip.Addr{netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("192.0.2.1")}, nil
	case "six.example.com":
		return []netip.Addr{netip.MustParseAddr("2001:db8::1")}, nil
	}
	return nil, errors.New("no such host")
}

func local(t *testing.T, use string, reachable bool) Local {
	l := Local{URI: path(t, "msrp://192.0.2.7:4000/own;tcp")[0], Reachable: reachable, Lookup: names}
	if use != "" {
		l.UsePath = path(t, use)
	}
	return l
}

const (
	peerPath  = "msrp://192.0.2.1:5000/peer;tcp"
	relayPath = "msrp://192.0.2.2:2855/r;tcp msrp://192.0.2.1:5000/peer;tcp"
	useOne    = "msrp://192.0.2.3:2855/u;tcp"
)

func TestOffer(t *testing.T) {
	t.Run("MCON-003 MCON-001 an offer is actpass when we can be reached, else active, and never passive", func(t *testing.T) {
		for _, c := range []struct {
			use       string
			reachable bool
			want      string
		}{{"", true, "actpass"}, {"", false, "active"}, {useOne, false, "actpass"}} {
			if s := local(t, c.use, c.reachable).Offer(); s.Setup != c.want {
				t.Errorf("%+v: %s", c, s.Setup)
			}
		}
	})
	t.Run("MCON-005 MCON-006 actpass has the real address, active port 9 beside a path with a port", func(t *testing.T) {
		if s := local(t, "", true).Offer(); s.Addr != "192.0.2.7:4000" || s.Path[0].Address() != s.Addr {
			t.Errorf("%+v", s)
		}
		if s := local(t, "", false).Offer(); s.Addr != "192.0.2.7:9" || s.Path[0].Port != 4000 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("MCON-012 MCON-013 an offer has msrp-cema and setup", func(t *testing.T) {
		if s := local(t, "", true).Offer(); !s.CEMA || s.Setup == "" {
			t.Errorf("%+v", s)
		}
		l := local(t, "", true)
		l.NoCEMA = true
		if s := l.Offer(); s.CEMA || s.Setup == "" {
			t.Errorf("%+v", s)
		}
	})
	t.Run("MCON-014 with relays the address is that of the topmost one", func(t *testing.T) {
		s := local(t, "msrp://192.0.2.3:2855/in;tcp msrp://192.0.2.4:2856/out;tcp", false).Offer()
		if s.Addr != "192.0.2.4:2856" || s.Setup != "actpass" || s.Path.String() != "msrp://192.0.2.4:2856/out;tcp msrp://192.0.2.3:2855/in;tcp msrp://192.0.2.7:4000/own;tcp" {
			t.Errorf("%+v", s)
		}
	})
}

func TestAnswer(t *testing.T) {
	answer := func(t *testing.T, l Local, offer Side) (Side, Decision) {
		t.Helper()
		s, d, err := l.Answer(t.Context(), offer)
		if err != nil {
			t.Fatal(err)
		}
		if d.String() == "" || d.Why == "" || !strings.Contains(d.String(), d.Model) {
			t.Errorf("the line is %q", d)
		}
		return s, d
	}
	t.Run("MCON-004 MCON-002 MCON-007 who connects", func(t *testing.T) {
		for _, c := range []struct {
			setup     string
			reachable bool
			want      string
		}{
			{"actpass", true, "passive"}, {"actpass", false, "active"}, {"active", true, "passive"}, {"active", false, "passive"},
			{"passive", true, "active"}, {"passive", false, "active"}, {"holdconn", true, "passive"}, {"", false, "passive"},
		} {
			s, d := answer(t, local(t, "", c.reachable), Side{Path: path(t, peerPath), Setup: c.setup, Addr: "192.0.2.1:5000"})
			if s.Setup != c.want || d.Active != (c.want == "active") {
				t.Errorf("%+v: %s %+v", c, s.Setup, d)
			}
			if base := c.setup == "" || c.setup == "holdconn"; base != (d.Model == "RFC 4975") {
				t.Errorf("%+v: model %s", c, d.Model)
			}
		}
	})
	t.Run("MCON-015 an address that is not of the path, without msrp-cema, is refused", func(t *testing.T) {
		offer := Side{Path: path(t, peerPath), Setup: "actpass", Addr: "198.51.100.1:5000"}
		if _, _, err := local(t, "", true).Answer(t.Context(), offer); !errors.Is(err, ErrMiddlebox) {
			t.Errorf("%v", err)
		}
		offer.CEMA = true
		if _, d := answer(t, local(t, "", false), offer); d.Connect != "198.51.100.1:5000" {
			t.Errorf("%+v", d)
		}
	})
	t.Run("MCON-016 when an answer falls back to RFC 4975", func(t *testing.T) {
		for _, c := range []struct{ use, path, setup string }{
			{useOne, relayPath, "actpass"}, {"", relayPath, "active"}, {"", relayPath, ""}, {useOne, peerPath, "passive"},
		} {
			s, d := answer(t, local(t, c.use, true), Side{Path: path(t, c.path), Setup: c.setup, CEMA: true, Addr: "192.0.2.2:2855"})
			if s.CEMA || d.Connect != "" || d.Model == "RFC 6714" {
				t.Errorf("%+v: %+v %+v", c, s, d)
			}
		}
	})
	t.Run("MCON-017 otherwise it has msrp-cema, with a relay its address and passive", func(t *testing.T) {
		s, _ := answer(t, local(t, useOne, true), Side{Path: path(t, peerPath), Setup: "actpass", CEMA: true, Addr: "192.0.2.1:5000"})
		if !s.CEMA || s.Setup != "passive" || s.Addr != "192.0.2.3:2855" {
			t.Errorf("%+v", s)
		}
		s, d := answer(t, local(t, "", true), Side{Path: path(t, relayPath), Setup: "actpass", CEMA: true, Addr: "198.51.100.1:1"})
		if !s.CEMA || s.Setup != "active" || d.Connect != "198.51.100.1:1" {
			t.Errorf("%+v %+v", s, d)
		}
	})
	t.Run("MCON-021 addresses are compared as addresses, and names by DNS", func(t *testing.T) {
		for _, c := range []struct {
			path, addr string
			want       bool
		}{
			{"msrp://a.example.com:5000/p;tcp", "192.0.2.1:5000", true},
			{"msrp://a.example.com:5000/p;tcp", "192.0.2.1:5001", false},
			{"msrp://192.0.2.9:5000/p;tcp", "a.example.com:5000", true},
			{"msrp://[2001:DB8::1]:5000/p;tcp", "[2001:db8:0::1]:5000", true},
			{"msrp://six.example.com:5000/p;tcp", "[2001:db8:0:0::1]:5000", true},
			{"msrp://unknown.example.com:5000/p;tcp", "192.0.2.1:5000", false},
			{"msrp://192.0.2.1:5000/p;tcp", "192.0.2.2:5000", false},
		} {
			if got := local(t, "", true).anchored(t.Context(), Side{Path: path(t, c.path), Addr: c.addr}); got != c.want {
				t.Errorf("%+v: %v", c, got)
			}
		}
	})
	t.Run("MSRP-081 without setup the offerer connects", func(t *testing.T) {
		l := local(t, "", true)
		l.Plain = true
		s, d := answer(t, l, Side{Path: path(t, peerPath), Addr: "192.0.2.1:5000"})
		if d.Active || s.Setup != "" || s.CEMA {
			t.Errorf("%+v %+v", s, d)
		}
	})
}

func TestConclude(t *testing.T) {
	conclude := func(t *testing.T, l Local, answer Side) Decision {
		t.Helper()
		d, err := l.Conclude(t.Context(), l.Offer(), answer)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const elsewhere = "198.51.100.1:6000"
	t.Run("MCON-007 MCON-008 a peer without setup is passive", func(t *testing.T) {
		if d := conclude(t, local(t, "", true), Side{Path: path(t, peerPath), Addr: "192.0.2.1:5000"}); !d.Active || d.Connect != "" || d.Model != "RFC 4975" {
			t.Errorf("%+v", d)
		}
		if d := conclude(t, local(t, "", true), Side{Path: path(t, peerPath), Setup: "active", Addr: "192.0.2.1:9"}); d.Active || d.Again || d.Model != "RFC 6135" {
			t.Errorf("%+v", d)
		}
	})
	t.Run("MCON-018 with msrp-cema on both sides we connect to the address of the answer", func(t *testing.T) {
		d := conclude(t, local(t, "", true), Side{Path: path(t, peerPath), Setup: "passive", CEMA: true, Addr: elsewhere})
		if !d.Active || d.Connect != elsewhere || d.Model != "RFC 6714" {
			t.Errorf("%+v", d)
		}
	})
	t.Run("MCON-019 when a new offer is needed", func(t *testing.T) {
		for _, c := range []struct{ use, path, setup string }{
			{"", peerPath, "active"}, {useOne, peerPath, "passive"}, {useOne, peerPath, ""}, {"", relayPath, "passive"}, {"", relayPath, ""},
		} {
			if d := conclude(t, local(t, c.use, true), Side{Path: path(t, c.path), Setup: c.setup, Addr: elsewhere}); !d.Again {
				t.Errorf("%+v: %+v", c, d)
			}
		}
		if d := conclude(t, local(t, "", true), Side{Path: path(t, peerPath), Setup: "passive", Addr: elsewhere}); d.Again || d.Connect != elsewhere {
			t.Errorf("without a relay: %+v", d)
		}
	})
	t.Run("MCON-020 a relay of the answerer without a middle box needs none", func(t *testing.T) {
		d := conclude(t, local(t, "", true), Side{Path: path(t, relayPath), Setup: "passive", Addr: "192.0.2.2:2855"})
		if d.Again || d.Connect != "" || !d.Active {
			t.Errorf("%+v", d)
		}
	})
}
