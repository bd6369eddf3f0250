package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	sip "github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
)

// maxLocating is how many requests may wait for Config.Locate at one time.
const maxLocating = 4096

var (
	errNowhere  = errors.New("there is nowhere to send it")
	errInsecure = errors.New("a sips URI is reached over TLS only")
)

// unlocated tells whether it is Config.Locate that knows where a request goes. A numeric address is what it would give.
func (s *Stack) unlocated(t *Target) bool {
	if s.cfg.Locate == nil || t.Flow != nil && !t.Flow.Closed() {
		return false
	}
	if t.Addr == "" {
		return true
	}
	if t.URI == "" {
		return false
	}
	host, _, err := splitHostPort(t.Addr, 0)
	if err != nil {
		return true
	}
	_, err = netip.ParseAddr(host)
	return err != nil && !invalidHost(host)
}

// locate finds the targets of a request and sends it to the first that does not fail.
func (s *Stack) locate(o *Outgoing, done func(*sip.Response, error)) {
	tell := func(err error) { s.client.report(&outcome{done: done}, nil, err) }
	if s.locating.Add(1) > maxLocating {
		s.locating.Add(-1)
		go tell(errPending)
		return
	}
	uri := nextHop(o)
	if u, err := header.ParseURI(uri); err == nil && invalidHost(u.Host) {
		s.locating.Add(-1)
		go tell(fmt.Errorf("%w: %w", ErrTransport, errInvalid))
		return
	}
	ok := s.spawn(func() {
		ctx, cancel := context.WithTimeout(s.ctx, lookupTimeout)
		targets, err := s.cfg.Locate(ctx, uri)
		cancel()
		s.locating.Add(-1)
		switch {
		case s.ctx.Err() != nil:
			tell(ErrClosed)
		case err != nil:
			tell(notLocated(err))
		case len(targets) == 0:
			tell(fmt.Errorf("%w: %s: %w", ErrTransport, uri, errNowhere))
		default:
			(&attempts{s: s, o: o, left: s.sound(targets), done: done}).next()
		}
	})
	if !ok {
		s.locating.Add(-1)
		go tell(ErrClosed)
	}
}

// notLocated makes an error of location one of transport. That it took too long is no timeout of the request.
func notLocated(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %v", ErrTransport, err)
	}
	return fmt.Errorf("%w: %w", ErrTransport, err)
}

// attempts are the targets of one request that have not been tried yet (RFC 3263 4.3).
type attempts struct {
	s    *Stack
	o    *Outgoing
	left []Target
	at   Target // being tried
	done func(*sip.Response, error)
}

// next sends the request to the next target, as a transaction of its own.
func (a *attempts) next() {
	o := *a.o
	a.at, a.left = a.left[0], a.left[1:]
	o.Target = a.at
	if len(a.left) > 0 && o.Method != "MESSAGE" && o.Method != "INVITE" {
		o.silence = a.s.cfg.Patience
	}
	a.s.begin(&o, a.ended)
}

func (a *attempts) ended(res *sip.Response, err error) {
	if failedOver(res, err) {
		if t := shunTime(res); t > 0 {
			a.s.failed.add(way{a.at.Transport, a.at.Addr}, time.Now().Add(t))
		}
		if len(a.left) > 0 {
			a.next()
			return
		}
	}
	a.done(res, err)
}

// way is where a target leads to.
type way struct{ transport, addr string }

const (
	failedTime = time.Minute
	maxRetry   = 10 * time.Minute
)

// shunTime is how long a target that has failed comes behind the others: a server that answers decides itself
// (RFC 3261 21.5.4).
func shunTime(res *sip.Response) time.Duration {
	if res == nil {
		return failedTime
	}
	v, _, _ := header.Single(res, "Retry-After")
	after, err := header.ParseRetryAfter(v)
	if err != nil {
		return 0
	}
	return min(time.Duration(after.Seconds)*time.Second, maxRetry)
}

// sound puts targets that have failed lately behind the others.
func (s *Stack) sound(targets []Target) []Target {
	now := time.Now()
	var last []Target
	first := make([]Target, 0, len(targets))
	for _, t := range targets {
		if s.failed.has(way{t.Transport, t.Addr}, now) {
			last = append(last, t)
		} else {
			first = append(first, t)
		}
	}
	return append(first, last...)
}

// failedOver tells whether another server may do better: this one says that it cannot serve now, could not be reached,
// or never said anything.
func failedOver(res *sip.Response, err error) bool {
	switch {
	case res != nil:
		return res.StatusCode == 503
	case errors.Is(err, errPending), errors.Is(err, ErrClosed), errors.Is(err, errHeard):
		return false
	}
	return errors.Is(err, ErrTransport) || errors.Is(err, ErrTimeout)
}

// nextHop is the URI that decides where a request goes: that of its target, else the first Route when that is a loose
// router, else the Request-URI (RFC 3261 8.1.2). What is for a sips URI goes all the way as such (RFC 5630 5.1.1).
func nextHop(o *Outgoing) string {
	uri := o.URI
	if o.Target.URI != "" {
		uri = o.Target.URI
	} else if a, err := header.ParseAddress(firstRoute(o.Head)); err == nil {
		if u, err := header.ParseURI(a.URI); err == nil && u.Params.Has("lr") {
			uri = a.URI
		}
	}
	if isSIPS(o.URI) && len(uri) > 4 && strings.EqualFold(uri[:4], "sip:") {
		return "sips" + uri[3:]
	}
	return uri
}

// firstRoute is the first Route value of a rendered header, "" when there is none.
func firstRoute(head []byte) string {
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, lineEnd)
		if colon := bytes.IndexByte(line, ':'); colon > 0 && equalFold(trimSpace(line[:colon]), "route") {
			if first := header.Elements(string(line[colon+1:])); len(first) > 0 {
				return first[0]
			}
		}
	}
	return ""
}

func isSIPS(uri string) bool { return len(uri) > 5 && strings.EqualFold(uri[:5], "sips:") }

// secured sees to it that a request for a sips URI goes over TLS, with a route set of sips URIs (RFC 5630 5.1.1).
func (s *Stack) secured(o *Outgoing) (*Outgoing, error) {
	secure := *o
	if t := &secure.Target; t.Flow != nil && !t.Flow.Closed() {
		if !t.Flow.Secure() {
			return nil, errInsecure
		}
	} else if t.Transport == "" {
		t.Transport = "tls"
	} else if k, err := s.kindOf(t.Transport); err != nil || !k.secure {
		return nil, errInsecure
	}
	if !o.relayed && firstRoute(o.Head) != "" {
		secure.Head = sipsRoutes(o.Head)
	}
	return &secure, nil
}

// sipsRoutes writes a header with the sip URIs of its Route fields made sips URIs.
func sipsRoutes(head []byte) []byte {
	b := make([]byte, 0, len(head)+16)
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, lineEnd)
		colon := bytes.IndexByte(line, ':')
		route := colon > 0 && equalFold(trimSpace(line[:colon]), "route")
		for route {
			open := bytes.IndexByte(line, '<')
			if open < 0 {
				break
			}
			b, line = append(b, line[:open+1]...), line[open+1:]
			if len(line) > 4 && equalFold(line[:4], "sip:") {
				b, line = append(b, "sips"...), line[3:]
			}
		}
		b = append(append(b, line...), lineEnd...)
		head = rest
	}
	return b
}
