package digest

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// ThrottleConfig says how a Throttle answers failures. The zero value is good.
type ThrottleConfig struct {
	// Free is how many failures of a source or a user have no consequence;
	// default 10.
	Free int
	// First is the time of short answers after the first failure beyond Free;
	// it doubles with each further one up to Longest. Default 1 s and 5 min.
	First, Longest time.Duration
	// Forget is how long a source or a user must be quiet to start anew;
	// default 15 min. It takes effect after one to two of these times.
	Forget time.Duration
	// Max bounds each half of the tables of sources and of users; default 8192.
	Max int
	// Now is the clock, default time.Now.
	Now func() time.Time
}

// Throttle slows the guessing of passwords. It is asked about failures only:
// credentials are verified first, so that right ones are never slowed, and
// failures beyond a limit get a short answer without a new challenge. Its
// methods may be called concurrently.
type Throttle struct {
	cfg     ThrottleConfig
	start   time.Time
	seed    maphash.Seed
	mu      sync.Mutex
	sources generations[netip.Addr, failures]
	users   generations[uint64, failures]
}

type failures struct {
	count int
	// until is when the short answers end, in ms since the start.
	until int64
}

// NewThrottle makes a Throttle.
func NewThrottle(cfg ThrottleConfig) *Throttle {
	if cfg.Free <= 0 {
		cfg.Free = 10
	}
	if cfg.First <= 0 {
		cfg.First = time.Second
	}
	if cfg.Longest <= 0 {
		cfg.Longest = 5 * time.Minute
	}
	if cfg.Forget <= 0 {
		cfg.Forget = 15 * time.Minute
	}
	if cfg.Max <= 0 {
		cfg.Max = 8192
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Throttle{cfg: cfg, start: cfg.Now(), seed: maphash.MakeSeed(),
		sources: newGenerations[netip.Addr, failures](cfg.Max, cfg.Forget),
		users:   newGenerations[uint64, failures](cfg.Max, cfg.Forget)}
}

// Failed counts a failure of source, which claimed to be user, whether that
// user exists or not. Zero means that the failure is answered with a challenge
// as usual; otherwise it is answered shortly (403, or 503 or 429 with
// Retry-After), and so is each failure of the source or the user in the time
// given. Failures within that time are not counted.
func (t *Throttle) Failed(source netip.Addr, user string) time.Duration {
	now := t.cfg.Now().Sub(t.start).Milliseconds()
	source = network(source)
	name := maphash.String(t.seed, user)
	t.mu.Lock()
	defer t.mu.Unlock()
	wait := failed(t, &t.sources, source, now)
	return max(wait, failed(t, &t.users, name, now))
}

func failed[K comparable](t *Throttle, table *generations[K, failures], key K, now int64) time.Duration {
	f, _ := table.get(key)
	if now >= f.until {
		f.count++
		if over := f.count - t.cfg.Free; over > 0 {
			f.until = now + t.wait(over).Milliseconds()
		}
	}
	table.put(key, f, now)
	return time.Duration(max(0, f.until-now)) * time.Millisecond
}

func (t *Throttle) wait(over int) time.Duration {
	wait := t.cfg.First
	for i := 1; i < over && wait < t.cfg.Longest; i++ {
		wait *= 2
	}
	return min(wait, t.cfg.Longest)
}

// network is the part of an address that one party holds: all of IPv4, the
// upper half of IPv6.
func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
