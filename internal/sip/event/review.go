package event

// Reviewer is a Package whose judgement of a watcher can change while he is
// subscribed.
type Reviewer interface {
	Package
	// Review judges the watcher of a live view again: what it returns counts
	// from now on. The view may be v itself; another one takes its place, and v
	// is closed as after a refresh. It may read storage; no lock is held.
	Review(watcher string, v View) (View, Decision)
}

// Review has the package pkg, a Reviewer, judge all watchers of a resource
// again, and changes their subscriptions accordingly. Whatever it judges by must
// have changed before the call; a SUBSCRIBE that was judged by what there was
// before is reviewed too.
func (n *Notifier) Review(pkg, name string) {
	sh := n.shard(name)
	sh.reviews.Add(1)
	sh.lock()
	var subs []*subscription
	if r := sh.resources[resourceKey{n.packages[pkg], name}]; r != nil {
		subs = append(subs, r.subs...)
	}
	sh.unlock()
	for _, s := range subs {
		s.review()
	}
}

// reviewSince reviews a subscription that was judged when so many reviews had
// begun, if there were more since.
func (s *subscription) reviewSince(reviews uint64) {
	if s.shard.reviews.Load() != reviews {
		s.review()
	}
}

// review has the watcher judged again, more than once when he is refreshing
// meanwhile.
func (s *subscription) review() {
	pkg, ok := s.resource.key.pkg.Package.(Reviewer)
	if !ok {
		return
	}
	for done := false; !done; {
		s.shard.lock()
		view, over := s.view, s.removed || s.state == Terminated
		s.shard.unlock()
		if over {
			return
		}
		next, d := pkg.Review(s.watcher, view)
		s.shard.lock()
		if done = s.view == view; done && !s.removed && s.state != Terminated {
			s.take(next)
			s.decide(d)
			s.enqueue()
			next, view = view, next
		}
		s.shard.unlock()
		if next != view {
			s.resource.closeView(next, "") // the one that does not count
		}
	}
}

// take gives the subscription another view. Whether it shows something else is
// found out when it is rendered. The shard is locked.
func (s *subscription) take(v View) {
	if v == s.view {
		return
	}
	// What is on its way to the watcher is not known to have come to him.
	if next, ok := v.(Successor); !ok || s.busy || !next.Continues(s.view) {
		s.mark = 0
	}
	s.view = v
	s.want |= wantChange
}
