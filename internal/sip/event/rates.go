package event

import (
	"bytes"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
)

// Rates are what a watcher wants of the pace of NOTIFYs (RFC 6446), in
// notifications per second; 0 is no wish.
type Rates struct {
	Max      float64 // max-rate: not more often
	Min      float64 // min-rate: at least so often, even when nothing changed
	Adaptive float64 // adaptive-min-rate: at least so often on average
}

// ReadRates reads the rate parameters of Event or Subscription-State. What
// does not keep to their grammar counts as absent; any tells whether there was
// one at all.
func ReadRates(params header.Params) (r Rates, any bool) {
	e := header.Event{Params: params}
	for name, v := range r.named() {
		if rate, ok, err := e.Rate(name); ok {
			any = true
			if err == nil {
				*v = rate
			}
		}
	}
	return r, any
}

func (r *Rates) named() map[string]*float64 {
	return map[string]*float64{"max-rate": &r.Max, "min-rate": &r.Min, "adaptive-min-rate": &r.Adaptive}
}

// fit makes of a wish what is granted (RFC 6446 sections 5.3, 6.3, 7.3 and 8):
// at least one NOTIFY in the time that is left, none more often than every
// interval, and not without changes more often than once a second.
func (r Rates) fit(left, interval time.Duration) Rates {
	if r.Max > 0 {
		if left > 0 {
			r.Max = max(r.Max, 1/left.Seconds())
		}
		if interval > 0 {
			r.Max = min(r.Max, 1/interval.Seconds())
		}
	}
	ceiling := 1 / pause(interval).Seconds()
	if r.Max > 0 {
		ceiling = min(ceiling, r.Max)
	}
	r.Min, r.Adaptive = min(r.Min, ceiling), min(r.Adaptive, ceiling)
	if r.Adaptive > 0 && r.Min >= r.Adaptive {
		r.Min = 0
	}
	return r
}

// pause is the least time between two NOTIFYs of what did not change.
func pause(interval time.Duration) time.Duration { return max(interval, time.Second) }

// appendTo renders the rates as parameters.
func (r Rates) appendTo(b []byte) []byte {
	for _, p := range [...]struct {
		name string
		rate float64
	}{{"max-rate", r.Max}, {"min-rate", r.Min}, {"adaptive-min-rate", r.Adaptive}} {
		if p.rate > 0 {
			b = appendRate(append(append(append(b, ';'), p.name...), '='), p.rate)
		}
	}
	return b
}

// appendRate renders a rate in the grammar of RFC 6446 section 9.2: at most
// two digits before the point and ten behind it, and not zero.
func appendRate(b []byte, rate float64) []byte {
	text := strconv.AppendFloat(nil, min(max(rate, 1e-10), 99), 'f', 10, 64)
	return append(b, bytes.TrimRight(bytes.TrimRight(text, "0"), ".")...)
}

// FormatRate renders a rate as the value of a parameter.
func FormatRate(rate float64) string { return string(appendRate(nil, rate)) }

// perSecond is the time between two of what comes at a rate, 0 for no rate.
func perSecond(rate float64) time.Duration {
	if rate <= 0 {
		return 0
	}
	return time.Duration(min(float64(time.Second)/rate, float64(maxPause)))
}

// maxPause bounds the time between two NOTIFYs: no subscription lasts longer.
const maxPause = 1 << 32 * time.Second / 2

// slots is the number of parts that the averaging period of the adaptive rate
// has, each as long as the wanted time between two NOTIFYs: the period is
// slots/adaptive-min-rate (RFC 6446 section 7.4).
const slots = 10

// rates is the rate control of a subscription.
type rates struct {
	granted Rates
	told    string        // granted, as Subscription-State tells it
	least   time.Duration // between two NOTIFYs of a change
	floor   time.Duration // between two NOTIFYs without one
	most    time.Duration // until the next NOTIFY after the last; 0: any

	begun   instant // of the count of NOTIFYs
	slot    int64   // counted last, since begun
	history [slots]uint32
}

// setRates takes over what a SUBSCRIBE, or the answer to a NOTIFY, wants. It
// is called whenever the time that is left changes.
func (s *subscription) setRates(wish Rates, any bool) {
	if !any {
		s.rates = nil
		return
	}
	now := s.shard.n.now()
	r := s.rates
	if r == nil {
		r = &rates{}
		s.rates = r
	}
	fitted := wish.fit(s.expires.sub(now), s.resource.key.pkg.interval)
	if fitted.Adaptive != r.granted.Adaptive {
		r.begun, r.slot = now, -1
		for i := range r.history {
			r.history[i] = 1
		}
	}
	r.granted = fitted
	r.told = string(fitted.appendTo(nil))
	r.least, r.floor = perSecond(fitted.Max), pause(s.resource.key.pkg.interval)
	r.measure()
}

// updateRates takes the rates from a 2xx to NOTIFY, which replace all there
// were (RFC 6446 section 9.3).
func (s *subscription) updateRates(res *sip.Response) {
	v, ok, err := header.Single(res, "Event")
	if err != nil || !ok {
		return
	}
	ev, err := header.ParseEvent(v)
	if err != nil || ev.Package != s.resource.key.pkg.name {
		return
	}
	wish, _ := ReadRates(ev.Params)
	s.setRates(wish, true)
	s.wakeBy(s.expires)
}

// sent counts a NOTIFY.
func (r *rates) sent(now instant) {
	if r.granted.Adaptive == 0 {
		return
	}
	slot := int64(now.sub(r.begun).Seconds() * r.granted.Adaptive)
	for passed := min(slot-r.slot, slots); passed > 0; passed-- {
		r.history[(slot-passed+1)%slots] = 0
	}
	r.slot = slot
	r.history[slot%slots]++
	r.measure()
}

// measure computes the time until the next NOTIFY (RFC 6446 section 7.4).
func (r *rates) measure() {
	r.most = 0
	if r.granted.Adaptive > 0 {
		count := uint64(0)
		for _, n := range r.history {
			count += uint64(n)
		}
		r.most = max(r.least, r.floor, perSecond(r.granted.Adaptive*slots/float64(max(count, 1))))
	}
	if every := perSecond(r.granted.Min); every > 0 && (r.most == 0 || every < r.most) {
		r.most = every
	}
}

// pulseAt is when the state is to be told although nothing changed; never when
// that is not wanted, or is being done.
func (s *subscription) pulseAt() instant {
	if s.rates.most == 0 || s.want&wantPulse != 0 {
		return never
	}
	return s.lastSent.add(s.rates.most)
}
