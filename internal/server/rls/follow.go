package rls

import (
	"context"
	"errors"
	"time"

	"imp/internal/sip/event"
	"imp/internal/store"
	"imp/internal/xcap/key"
)

// Run has running subscriptions follow their documents until ctx is done (RFC
// 4826 section 4.4.8), and then ends those to members of other domains. The error
// is that of the store's Watch.
func (s *Server) Run(ctx context.Context) error {
	defer s.others.end()
	if s.cfg.Store == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	for {
		events, err := s.cfg.Store.Watch(ctx, key.Root(s.root.Path()))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		lost := true // whatever happened before this watch
		for e := range events {
			switch e.Kind {
			case store.Reset:
				lost = true
			case store.Synced:
				if lost {
					s.changed(ctx, "")
				}
				lost = false
			default:
				if !lost {
					s.changed(ctx, e.Entry.Key)
				}
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// changed resolves anew what follows from a document, "" for all.
func (s *Server) changed(ctx context.Context, document string) {
	var views []*view
	s.mu.Lock()
	for at, set := range s.deps {
		if document == "" || at == document {
			for v := range set {
				views = append(views, v)
			}
		}
	}
	s.mu.Unlock()
	for _, v := range views {
		s.again(ctx, v)
	}
}

// again resolves a list whose documents have changed. Without its service the
// subscription ends; a reference that leads nowhere leaves it as it was.
func (s *Server) again(ctx context.Context, v *view) {
	v.updating.Lock()
	err := s.resolve(ctx, v)
	v.updating.Unlock()
	if v.over() {
		s.followOnly(v, nil) // what resolve has begun to follow
		return
	}
	switch status := event.Status(err); {
	case err == nil:
		s.notifier.Touch(v.id)
	case v.parent != nil && status != 0 && status < 500:
		v.parent.lose(v, status)
	case status == 404, status == 489:
		s.notifier.Decide(v.id, event.Decision{State: event.Terminated, Reason: "noresource"})
	case status == 403:
		s.notifier.Decide(v.id, event.Decision{State: event.Terminated, Reason: "rejected"})
	case !errors.Is(err, context.Canceled):
		s.cfg.Log.Warn("a list that is watched cannot be resolved any more, its members stay", "uri", v.service, "error", err)
	}
}

// follow has changes of a document told to a view.
func (s *Server) follow(v *view, document string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deps[document] == nil {
		s.deps[document] = map[*view]bool{}
	}
	s.deps[document][v] = true
	if v.followed == nil {
		v.followed = map[string]bool{}
	}
	v.followed[document] = true
}

// followOnly ends that for all documents but some.
func (s *Server) followOnly(v *view, some map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at := range v.followed {
		if some[at] {
			continue
		}
		delete(v.followed, at)
		if delete(s.deps[at], v); len(s.deps[at]) == 0 {
			delete(s.deps, at)
		}
	}
}
