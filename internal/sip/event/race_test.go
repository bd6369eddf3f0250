package event

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/stack"
)

// crowd is a wire whose far end are many watchers. It answers after a while,
// not always with 200, and watches what each dialog gets.
type crowd struct {
	t       *testing.T
	mu      sync.Mutex
	calm    bool // everything is answered 200
	dialogs map[string]*heard
	most    int // NOTIFYs under way at one time
	now     int
}

// heard is what one watcher has got.
type heard struct {
	underWay bool
	seq      int
	state    string // the last told, accepted or not: what failed is not repeated
	body     string // the last accepted
	judged   bool   // a SUBSCRIBE is unanswered
	owed     bool   // a SUBSCRIBE was accepted after the last NOTIFY had begun
	ended    bool
}

// of is what the watcher of a dialog has heard; the crowd is locked.
func (c *crowd) of(id string) *heard {
	h := c.dialogs[id]
	if h == nil {
		h = &heard{}
		c.dialogs[id] = h
	}
	return h
}

// asks tells of a SUBSCRIBE that is sent, and later that its answer is.
func (c *crowd) asks(id string, judged, accepted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.of(id)
	h.judged, h.owed = judged, h.owed || accepted
}

// line is the value of a header field of a rendered request.
func line(o *stack.Outgoing, name string) string {
	_, rest, _ := strings.Cut("\r\n"+string(o.Head), "\r\n"+name+": ")
	v, _, _ := strings.Cut(rest, "\r\n")
	return v
}

func (c *crowd) Send(o *stack.Outgoing, done func(*sip.Response, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := line(o, "Call-ID")
	h := c.of(id)
	seq, _ := strconv.Atoi(strings.TrimSuffix(line(o, "CSeq"), " NOTIFY"))
	if h.underWay {
		c.t.Errorf("%s: a second NOTIFY is under way", id)
	}
	if seq != h.seq+1 {
		c.t.Errorf("%s: CSeq %d follows %d", id, seq, h.seq)
	}
	if h.ended {
		c.t.Errorf("%s: a NOTIFY follows the last", id)
	}
	h.underWay, h.seq, h.owed = true, seq, false
	c.now++
	c.most = max(c.most, c.now)
	go c.answer(o, h, done)
}

func (c *crowd) answer(o *stack.Outgoing, h *heard, done func(*sip.Response, error)) {
	time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	c.mu.Lock()
	status := 200
	if !c.calm {
		switch rand.IntN(40) {
		case 0:
			status = 481
		case 1:
			status = 0
		case 2, 3, 4, 5, 6:
			status = 503
		}
	}
	state := line(o, "Subscription-State")
	final := strings.HasPrefix(state, "terminated")
	h.state, _, _ = strings.Cut(state, ";")
	if status == 200 && len(o.Body) > 0 {
		h.body = string(o.Body)
	}
	h.ended = final || !h.judged && !h.owed && (status == 481 || status == 0)
	h.underWay = false
	c.now--
	c.mu.Unlock()
	if status == 0 {
		done(nil, stack.ErrTimeout)
		return
	}
	done(sip.NewResponse(status, ""), nil)
}

// TestRace lets everything happen at once and then looks whether all that live
// have the last state and nothing is left of the others.
func TestRace(t *testing.T) {
	const resources, watchers, rounds = 8, 60, 60
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{t: t, dialogs: map[string]*heard{}}
		notes, meta := newNotes(), newTemplate()
		interval := 3 * time.Millisecond
		n := NewNotifier(NotifierConfig{Wire: c, Resources: everyone{}, MinInterval: &interval, MaxUnanswered: 40, MaxPerResource: 40,
			Contact: func(_ *stack.Request, user string) string { return "sip:" + user + "@192.0.2.9;gr" }}, notes, meta)
		defer n.Close()
		notes.notifier = n
		meta.follow(n)
		user := func() string { return fmt.Sprint("user", rand.IntN(resources)) }
		var all sync.WaitGroup
		for range watchers {
			all.Go(func() { watchAtRandom(t, n, c, user, rounds) })
		}
		for range 4 {
			all.Go(func() {
				for i := range rounds * 4 {
					notes.set(user(), fmt.Sprint(i))
					time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond)
				}
			})
		}
		all.Go(func() { decideAtRandom(n, rounds) })
		all.Wait()
		c.mu.Lock()
		c.calm = true
		c.mu.Unlock()
		for i := range resources {
			notes.set(fmt.Sprint("user", i), fmt.Sprint("last of ", i))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		checkHeard(t, n, c)
		if notes.late > 0 {
			t.Errorf("views were rendered %d times after their end", notes.late)
		}
		go n.Drain(context.Background())
		time.Sleep(time.Second)
		empty(t, n)
		if c.most > 40 {
			t.Errorf("%d NOTIFYs were under way", c.most)
		}
	})
}

// watchAtRandom is one watcher that comes, refreshes, and goes.
func watchAtRandom(t *testing.T, n *Notifier, c *crowd, user func() string, rounds int) {
	var p *peer
	for range rounds {
		if p == nil || rand.IntN(8) == 0 { // now and then the dialog is just left
			p = newPeer(t, "SUBSCRIBE", user())
		}
		event := "Event: notes"
		if p.seq == 0 && rand.IntN(10) == 0 {
			event = "Event: notes.winfo"
		}
		expires := []string{"0", "60", "100", "1000", "1000", "1000", "1000", "1000", "3600", "3600"}[rand.IntN(10)]
		req := p.request("", event, "Expires: "+expires, contactLine)
		c.asks(p.callID, true, false)
		res := n.Subscribe(context.Background(), req)
		time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
		if res.Sent != nil {
			res.Sent()
			p.toTag = res.ToTag
		}
		c.asks(p.callID, false, res.Status == 200)
		if res.Status != 200 || expires == "0" {
			p = nil
		}
		time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
	}
}

func decideAtRandom(n *Notifier, rounds int) {
	for range rounds * 10 {
		var ids []string
		n.Each(func(i Info) bool { ids = append(ids, i.ID); return len(ids) < 50 })
		for _, id := range ids {
			if rand.IntN(200) == 0 {
				n.Decide(id, Decision{State: []State{Active, Active, Active, Pending, Pending, Terminated}[rand.IntN(6)]})
			}
		}
		time.Sleep(time.Millisecond)
	}
}

func checkHeard(t *testing.T, n *Notifier, c *crowd) {
	t.Helper()
	calls := map[string]string{} // id -> Call-ID
	for i := range n.shards {
		sh := &n.shards[i]
		sh.lock()
		for id, s := range sh.subs {
			calls[id] = s.dialog.CallID()
			if s.busy || s.queued || s.answering != 0 || s.want != 0 {
				t.Errorf("%s has something to tell: %+v", id, s)
			}
		}
		sh.unlock()
	}
	if len(calls) < 20 {
		t.Fatalf("only %d live: the test is not worth much", len(calls))
	}
	n.Each(func(i Info) bool {
		h := c.dialogs[calls[i.ID]]
		if h.state != i.State.String() {
			t.Errorf("%s is %v, its watcher was told %s", i.ID, i.State, h.state)
		}
		last := "note: last of " + strings.TrimSuffix(strings.TrimPrefix(i.Resource, "sip:user"), "@example.com")
		if i.Package == "notes" && i.State == Active && h.body != last {
			t.Errorf("%s has %q, want %q", i.ID, h.body, last)
		}
		return true
	})
}
