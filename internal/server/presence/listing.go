package presence

import (
	"context"

	"imp/internal/sip/event"
	"imp/internal/sip/stack"
)

// Subscriptions lists live subscriptions, as event.Notifier.Page does.
func (s *Server) Subscriptions(resource, after string, limit int) (infos []event.Info, more bool) {
	return s.agent.notifier.Page(resource, after, limit)
}

// SubscriptionCount is the number of live subscriptions.
func (s *Server) SubscriptionCount() int { return s.agent.notifier.Count() }

// Publications lists live publications, as event.Compositor.Page does.
func (s *Server) Publications(ctx context.Context, resource, after string, limit int) ([]event.Listed, bool, error) {
	return s.agent.compositor.Page(ctx, resource, after, limit)
}

// PublicationCount is the number of live publications.
func (s *Server) PublicationCount(ctx context.Context) (int, error) {
	return s.agent.compositor.Count(ctx)
}

// Stats are the counters of the server's stack.
func (s *Server) Stats() stack.Stats { return s.stack.Stats() }
