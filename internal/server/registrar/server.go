package registrar

import (
	"context"

	"imp/internal/sip/header"
	"imp/internal/sip/identity"
	"imp/internal/sip/stack"
)

// ServerConfig holds what a registrar of its own is told.
type ServerConfig struct {
	Config
	Stack  stack.Config
	Listen []stack.Endpoint
	// MakeGuard makes Config.Guard, for which it gets what GuardConfig.AOR is to be; nil: Guard is as it is.
	MakeGuard func(aor func(header.URI) (string, bool)) (*identity.Guard, error)
}

// Server is a registrar with a stack of its own.
type Server struct {
	*Registrar
	stack *stack.Stack
}

// Serve starts a server; it serves when Serve returns. Errors are those of binding (stack.ErrInUse among them) and of
// MakeGuard.
func Serve(ctx context.Context, cfg ServerConfig) (*Server, error) {
	s := &Server{Registrar: New(cfg.Config), stack: stack.New(cfg.Stack)}
	if cfg.MakeGuard != nil {
		guard, err := cfg.MakeGuard(s.AOR)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.cfg.Guard = guard
	}
	s.Mount(s.stack)
	if err := s.stack.Listen(ctx, cfg.Listen...); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Addrs are the endpoints with their real ports.
func (s *Server) Addrs() []stack.Endpoint { return s.stack.Addrs() }

// StackStats are the counters of the stack.
func (s *Server) StackStats() stack.Stats { return s.stack.Stats() }

// Close ends the server at once.
func (s *Server) Close() {
	s.stack.Close()
	s.Registrar.Close()
}
