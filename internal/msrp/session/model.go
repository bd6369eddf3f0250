package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"imp/internal/msrp/wire"
)

// Values of the setup attribute (RFC 4145 section 4). holdconn is never sent, and is read as if it were not there.
const (
	SetupActive  = "active"
	SetupPassive = "passive"
	SetupActpass = "actpass"
)

// Side is what one description says about connections.
type Side struct {
	Path  wire.Path // the path attribute: the next hop for the other side first
	Setup string    // the setup attribute, "" = none
	CEMA  bool      // there is an msrp-cema attribute
	Addr  string    // host:port of the c= and m= lines
}

// Local is what decides how we connect.
type Local struct {
	URI       wire.URI
	UsePath   wire.Path                                                    // of our relays, the next hop first; nil: none
	Reachable bool                                                         // peers can connect to the address in URI: there is no NAT between, or none that matters
	Plain     bool                                                         // RFC 4975 alone: neither setup nor msrp-cema
	NoCEMA    bool                                                         // RFC 6135 without RFC 6714: after Decision.Again, or by choice
	Lookup    func(ctx context.Context, host string) ([]netip.Addr, error) // nil: net.DefaultResolver
}

// Decision says who connects, and where.
type Decision struct {
	Active  bool   // we connect and send at once; else the peer does. To our own relay we connect in any case
	Connect string // host:port to connect to; "" = the first URI of the peer's path
	Again   bool   // nothing can be connected: a new offer without msrp-cema is needed (RFC 6714 section 4.2)
	Model   string // "RFC 4975", "RFC 6135" or "RFC 6714"
	Why     string
}

// String is the line that tells of the decision.
func (d Decision) String() string {
	who := "the peer connects"
	switch {
	case d.Again:
		who = "a new offer is needed"
	case d.Active && d.Connect != "":
		who = "we connect to " + d.Connect
	case d.Active:
		who = "we connect to the path"
	}
	return fmt.Sprintf("connection model %s: %s, for %s", d.Model, who, d.Why)
}

// ErrMiddlebox is the error of an offer whose address does not belong to its path, without msrp-cema: a middle box has
// changed it that does not know MSRP. The answer is port 0 or 488 (RFC 6714 section 4.3).
var ErrMiddlebox = errors.New("the address of the offer is not the one of its path, and it has no msrp-cema")

// Offer is our side in an offer (RFC 6135 section 4.2.2, RFC 6714 section 4.2).
func (l Local) Offer() Side {
	s := l.side(SetupActive)
	if l.reachable() {
		s = l.side(SetupActpass)
	}
	s.CEMA = !l.Plain && !l.NoCEMA
	return s
}

func (l Local) relay() bool     { return len(l.UsePath) > 0 }
func (l Local) reachable() bool { return l.Reachable || l.relay() }

// side makes our side with a value of setup. Its address is that of the first URI of the path: our relay's, or our own;
// with setup:active the port is 9 (RFC 4145 section 4.1), but for relays.
func (l Local) side(setup string) Side {
	s := Side{Path: OwnPath(l.UsePath, l.URI), Setup: setup}
	s.Addr = s.Path[0].Address()
	if l.Plain {
		s.Setup = ""
	} else if setup == SetupActive && !l.relay() {
		host, _, _ := net.SplitHostPort(s.Addr)
		s.Addr = net.JoinHostPort(host, discard)
	}
	return s
}

// discard is the port of the m= line of a side that does not listen.
const discard = "9"

// OwnPath is what our path attribute has: the Use-Path in reverse, and our URI (RFC 4976 section 5.1).
func OwnPath(use wire.Path, own wire.URI) wire.Path {
	p := make(wire.Path, 0, len(use)+1)
	for i := len(use) - 1; i >= 0; i-- {
		p = append(p, use[i])
	}
	return append(p, own)
}

// known is the value of setup that counts.
func (s Side) known() string {
	switch v := strings.ToLower(s.Setup); v {
	case SetupActive, SetupPassive, SetupActpass:
		return v
	}
	return ""
}

// Answer decides as answerer and makes our side (RFC 6135 section 4.2.2, RFC 6714 section 4.3). The error is
// ErrMiddlebox, or one of an offer without a path.
func (l Local) Answer(ctx context.Context, offer Side) (Side, Decision, error) {
	if len(offer.Path) == 0 {
		return Side{}, Decision{}, errors.New("the offer has no path")
	}
	if !offer.CEMA && !l.anchored(ctx, offer) {
		return Side{}, Decision{}, ErrMiddlebox
	}
	setup, why := l.answerSetup(offer)
	s := l.side(setup)
	d := Decision{Active: setup == SetupActive, Model: "RFC 6135", Why: why}
	if l.Plain || offer.known() == "" {
		d.Model = "RFC 4975"
	}
	fallback := ""
	relayed := len(offer.Path) > 1
	switch {
	case l.Plain || l.NoCEMA || !offer.CEMA:
		return s, d, nil
	case l.relay() && relayed:
		fallback = "both sides use relays"
	case relayed && !d.Active:
		fallback = "the offerer connects through its relay"
	case l.relay() && d.Active:
		fallback = "we would connect through our relay"
	}
	if fallback != "" {
		d.Why += "; msrp-cema is not answered: " + fallback
		return s, d, nil
	}
	s.CEMA = true
	d.Model, d.Why = "RFC 6714", d.Why+"; both sides have msrp-cema"
	if d.Active {
		d.Connect = offer.Addr
	}
	return s, d, nil
}

// answerSetup is our setup in the answer, and why.
func (l Local) answerSetup(offer Side) (setup, why string) {
	switch offer.known() {
	case SetupActive:
		return SetupPassive, "the offer has setup:active"
	case SetupPassive:
		return SetupActive, "the offer has setup:passive"
	case SetupActpass:
		switch {
		case l.Plain:
			return SetupPassive, "the offerer connects where nothing else is agreed"
		case !l.reachable():
			return SetupActive, "the offer has setup:actpass and we cannot be reached"
		case offer.CEMA && !l.NoCEMA && len(offer.Path) > 1 && !l.relay():
			return SetupActive, "the offer has setup:actpass and a relay, which a middle box cannot be reached through"
		}
		return SetupPassive, "the offer has setup:actpass and we can be reached"
	}
	return SetupPassive, "the offer has no setup"
}

// Conclude decides as offerer from our offer and the answer (RFC 6714 section 4.2).
func (l Local) Conclude(ctx context.Context, offer, answer Side) (Decision, error) {
	if len(answer.Path) == 0 {
		return Decision{}, errors.New("the answer has no path")
	}
	d := Decision{Active: true, Model: "RFC 6135"}
	switch v := answer.known(); {
	case offer.Setup == "":
		d.Model, d.Why = "RFC 4975", "we offered without setup"
	case v == "":
		d.Model, d.Why = "RFC 4975", "the answer has no setup"
	case v == SetupActive && offer.Setup != SetupActive:
		d.Active, d.Why = false, "the answer has setup:active"
	case v == SetupActive:
		d.Why = "we offered setup:active, though the answer has it too"
	default:
		d.Why = "the answer has setup:" + v
	}
	if !offer.CEMA {
		return d, nil
	}
	relayed := len(answer.Path) > 1
	if !answer.CEMA {
		switch anchored := l.anchored(ctx, answer); {
		case !anchored && (!d.Active || l.relay() || relayed):
			d.Again, d.Model = true, "RFC 4975"
			d.Why += "; a middle box has changed the address, and the peer has no msrp-cema"
			return d, nil
		case anchored && relayed:
			d.Why += "; the peer uses a relay, and there is no middle box"
			return d, nil
		case anchored:
			d.Why += "; the peer has no msrp-cema, and there is no middle box"
			return d, nil
		}
		d.Why += "; a middle box has changed the address"
	} else {
		d.Why += "; both sides have msrp-cema"
	}
	d.Model = "RFC 6714"
	if _, port, _ := net.SplitHostPort(answer.Addr); d.Active && port != discard && port != "0" {
		d.Connect = answer.Addr
	}
	return d, nil
}

// anchored reports whether the address of a side belongs to one of the URIs of its path, so that no middle box has put
// its own there (RFC 6714 section 4.4). A side that only connects has no port to compare (RFC 4145 section 4.1).
func (l Local) anchored(ctx context.Context, s Side) bool {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return false
	}
	anyPort := port == discard && s.known() == SetupActive
	var addrs []netip.Addr
	for _, u := range s.Path {
		uriHost, uriPort, _ := net.SplitHostPort(u.Address())
		if port != uriPort && !anyPort {
			continue
		}
		if strings.EqualFold(host, uriHost) {
			return true
		}
		if addrs == nil {
			addrs = l.addresses(ctx, host)
		}
		for _, a := range l.addresses(ctx, uriHost) {
			for _, b := range addrs {
				if a == b {
					return true
				}
			}
		}
	}
	return false
}

// addresses are those of a host; none when its name cannot be resolved, which matches nothing.
func (l Local) addresses(ctx context.Context, host string) []netip.Addr {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}
	}
	lookup := l.Lookup
	if lookup == nil {
		lookup = systemLookup
	}
	found, err := lookup(ctx, host)
	if err != nil {
		return nil
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found
}

func systemLookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
