package registration_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/stack"
	"imp/internal/sip/uac/uactest"
)

type sipResponse = sip.Response

// registered runs a registration that lasts an hour.
func (r *rig) registered(lines ...string) *uactest.Call {
	r.t.Helper()
	p := r.register()
	c := r.wire.Next()
	granting(c, ";expires=3600", lines...)
	p.ok()
	r.run()
	return c
}

func TestRenewal(t *testing.T) {
	with(t, config(), func(t *testing.T, r *rig) {
		first := r.registered()
		time.Sleep(3600*time.Second - 361*time.Second)
		r.wire.Silent()
		time.Sleep(2 * time.Second)
		c := r.wire.Next()
		c.Wants("Contact", first.One("Contact"))
		c.Wants("Call-ID", first.One("Call-ID"))
		if c.Seq() != first.Seq()+1 {
			t.Errorf("CSeq %d after %d", c.Seq(), first.Seq())
		}
		granting(c, ";expires=40")
		if e := r.told(); e.Err != nil || e.Again || e.Expires != 40*time.Second {
			t.Errorf("%+v", e)
		}
		time.Sleep(20 * time.Second) // half of a short one
		r.wire.Next()
	})
}

func TestBindingOfNoTime(t *testing.T) {
	with(t, config(), func(t *testing.T, r *rig) {
		r.registered()
		time.Sleep(time.Hour - 6*time.Minute)
		granting(r.wire.Next(), ";expires=0")
		if e := r.told(); e.Err != nil || e.Expires != 0 {
			t.Errorf("%+v", e)
		}
		time.Sleep(20 * time.Second)
		r.wire.Silent()
		time.Sleep(20 * time.Second)
		granting(r.wire.Next(), ";expires=3600")
		time.Sleep(30 * time.Minute)
		r.wire.Silent()
	})
}

func TestAfterSleep(t *testing.T) {
	cfg := config()
	var slept atomic.Int64
	cfg.Wall = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
	with(t, cfg, func(t *testing.T, r *rig) {
		r.registered()
		time.Sleep(5 * time.Minute)
		slept.Store(int64(-time.Hour)) // a step back of the wall clock changes nothing
		time.Sleep(5 * time.Minute)
		r.wire.Silent()
		slept.Store(int64(time.Hour))
		time.Sleep(5 * time.Second)
		granting(r.wire.Next(), ";expires=3600")
		time.Sleep(40 * time.Minute)
		r.wire.Silent()
		time.Sleep(14 * time.Minute)
		r.wire.Next()
	})
}

func TestRefusedRenewal(t *testing.T) {
	with(t, config(), func(t *testing.T, r *rig) {
		r.registered()
		time.Sleep(time.Hour - 6*time.Minute)
		r.wire.Next().Answer(404)
		if e := r.told(); e.Err == nil || e.Retry >= 0 {
			t.Errorf("%+v", e)
		}
		if err := <-r.over; err == nil {
			t.Error("Run goes on")
		}
		r.stop = nil
	})
}

func TestKeepAlives(t *testing.T) {
	t.Run("NAM-065 keep-alives begin when outbound is required, and not without", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			r.registered(outbound)
			if pings, kept := r.flow(1).counted(); pings != 1 || kept != 1 {
				t.Errorf("%d pings, kept %d times", pings, kept)
			}
		})
		with(t, config(), func(t *testing.T, r *rig) {
			r.registered()
			time.Sleep(10 * time.Minute)
			if pings, kept := r.flow(1).counted(); pings+kept != 0 {
				t.Errorf("%d pings, kept %d times", pings, kept)
			}
		})
	})
	t.Run("NAM-071 the Flow-Timer sets the pace", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			r.registered(outbound, "Flow-Timer: 50")
			if every := r.flow(1).every; len(every) != 1 || every[0] != 50*time.Second {
				t.Errorf("%v", every)
			}
		})
		with(t, config(), func(t *testing.T, r *rig) {
			r.registered(outbound)
			if every := r.flow(1).every; len(every) != 1 || every[0] != 0 {
				t.Errorf("%v, want the usual", every)
			}
		})
	})
}

func TestFlowRecovery(t *testing.T) {
	t.Run("NAM-073 a flow that had worked is replaced at once with the same reg-id", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			r.registered(outbound)
			r.flow(1).fail <- stack.ErrTransport
			if e := r.told(); !errors.Is(e.Err, stack.ErrTransport) || e.Retry != 0 {
				t.Fatalf("%+v", e)
			}
			r.flow(2)
			c := r.wire.Next()
			has(t, c, "reg-id", "1")
			granting(c, "", outbound)
			if e := r.told(); e.Err != nil || !e.Again {
				t.Errorf("%+v", e)
			}
		})
	})
	t.Run("NAM-073 the waits grow from 30 to 1800 s", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			r.registered(outbound)
			close(r.flow(1).done)
			r.told()
			// Random gives 0: half of the bound.
			for _, want := range []time.Duration{30, 60, 120, 240, 480, 900, 900} {
				r.wire.Next().Fail(stack.ErrTransport)
				if e := r.told(); e.Retry != want*time.Second {
					t.Fatalf("waits %v, want %v", e.Retry, want*time.Second)
				}
				time.Sleep(want*time.Second - time.Second)
				r.wire.Silent()
				time.Sleep(time.Second)
			}
			r.wire.Next().Answer(503, "Retry-After: 4000")
			if e := r.told(); e.Retry != 4000*time.Second {
				t.Errorf("waits %v after Retry-After", e.Retry)
			}
		})
	})
	t.Run("NAM-073 the wait is up to the whole bound", func(t *testing.T) {
		cfg := config()
		cfg.Random = func() float64 { return 0.999999 }
		with(t, cfg, func(t *testing.T, r *rig) {
			r.run()
			r.wire.Next().Fail(stack.ErrTimeout)
			if e := r.told(); e.Retry < 59*time.Second || e.Retry > time.Minute {
				t.Errorf("waits %v", e.Retry)
			}
		})
	})
	t.Run("a flow that never answered a ping counts as a failure", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			r.refuse["deaf"] = stack.ErrTransport
			r.registered(outbound)
			if e := r.told(); e.Retry != 30*time.Second {
				t.Fatalf("%+v", e)
			}
			r.wire.Silent()
			time.Sleep(30 * time.Second)
			granting(r.wire.Next(), "", outbound)
			synctest.Wait()
			if len(r.events) != 2 || r.events[1].Retry != time.Minute {
				t.Errorf("%+v", r.events)
			}
		})
	})
	t.Run("a refused renewal does not end a flow that lives", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			r.registered(outbound)
			time.Sleep(time.Hour - 6*time.Minute)
			r.wire.Next().Answer(503)
			if e := r.told(); e.Retry != 30*time.Second {
				t.Fatalf("%+v", e)
			}
			time.Sleep(30 * time.Second)
			r.wire.Next().Answer(503)
			if e := r.told(); e.Retry != time.Minute { // that pings are answered is no success
				t.Fatalf("%+v", e)
			}
			time.Sleep(time.Minute)
			granting(r.wire.Next(), "", outbound)
			r.told()
			r.flow(1) // still the first
		})
	})
	t.Run("a flow is watched between two attempts", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			r.registered(outbound)
			time.Sleep(time.Hour - 6*time.Minute)
			r.wire.Next().Answer(503)
			r.told()
			time.Sleep(time.Second)
			r.flow(1).fail <- stack.ErrTransport
			if e := r.told(); !errors.Is(e.Err, stack.ErrTransport) {
				t.Fatalf("%+v", e)
			}
		})
	})
	t.Run("a flow that was closed is not used", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			p := r.register()
			granting(r.wire.Next(), "")
			p.ok()
			close(r.flow(1).done)
			r.register()
			r.wire.Next()
			r.flow(2)
		})
	})
}

func TestTwoProxies(t *testing.T) {
	cfg := config()
	cfg.Proxies = []stack.Target{{Transport: "tcp", Addr: "192.0.2.9:5060"}, {Transport: "tcp", Addr: "192.0.2.10:5060"}}
	t.Run("NAM-067 there is one registration over each of two outbound proxies", func(t *testing.T) {
		with(t, cfg, func(t *testing.T, r *rig) {
			p := r.register()
			a, b := r.wire.Next(), r.wire.Next()
			if a.Out.Target.Addr != cfg.Proxies[0].Addr {
				a, b = b, a
			}
			has(t, a, "reg-id", "1")
			has(t, b, "reg-id", "2")
			if a.One("Call-ID") == b.One("Call-ID") {
				t.Error("both flows have one Call-ID")
			}
			granting(a, "", outbound)
			granting(b, "", outbound)
			if got := p.ok(); len(got) != 2 || !got[0].Outbound || !got[1].Outbound {
				t.Errorf("%+v", got)
			}
		})
	})
	t.Run("NAM-073 the base is 90 s while another flow lives", func(t *testing.T) {
		with(t, cfg, func(t *testing.T, r *rig) {
			p := r.register()
			granting(r.wire.Next(), "", outbound)
			r.wire.Next().Fail(stack.ErrTimeout)
			if got := p.ok(); len(got) != 1 {
				t.Fatalf("%+v", got)
			}
			r.run()
			r.wire.Silent()
			time.Sleep(89 * time.Second)
			r.wire.Silent()
			time.Sleep(time.Second)
			r.wire.Next().Fail(stack.ErrTimeout)
			if e := r.told(); e.Retry != 180*time.Second {
				t.Errorf("%+v", e)
			}
		})
	})
}

func TestTransports(t *testing.T) {
	cfg := config()
	cfg.Proxies = []stack.Target{{Addr: "192.0.2.9"}}
	with(t, cfg, func(t *testing.T, r *rig) {
		r.refuse["tcp"] = stack.ErrTransport
		r.register()
		if c := r.wire.Next(); c.Out.Target.Transport != "udp" {
			t.Errorf("sent over %q", c.Out.Target.Transport)
		}
		if len(r.dialed) != 2 || r.dialed[0] != "tcp:192.0.2.9" {
			t.Errorf("%q", r.dialed)
		}
	})
}
