package stack

import "sync/atomic"

// Traffic counts messages of one transport.
type Traffic struct{ In, Out uint64 }

// Stats are counters since New and gauges of the moment.
type Stats struct {
	Messages map[string]Traffic // by transport

	Malformed   uint64 // messages that were answered 400 or dropped for their syntax
	Dropped     uint64 // datagrams for which the worker's queue had no room
	Unanswered  uint64 // answers that could not be sent
	Replayed    uint64 // retransmissions answered from memory, or absorbed while the first is being handled
	Merged      uint64 // requests answered 482
	Late        uint64 // further responses to a request that has its final one
	Stray       uint64 // responses that match no request
	Refused     uint64 // connections over the limit
	Handshakes  uint64 // accepted connections whose TLS or WebSocket handshake failed
	Retransmits uint64 // requests sent again by timer E

	Connections int // streams
	Pending     int // client transactions without an answer
	ReplayBytes int // memory for retransmissions
}

type counters struct {
	malformed, dropped, unanswered, replayed, merged, late, stray, refused, handshakes, retransmits atomic.Uint64
}

type traffic struct{ received, sent atomic.Uint64 }

func (c *counters) in(k *kind)  { k.traffic.received.Add(1) }
func (c *counters) out(k *kind) { k.traffic.sent.Add(1) }

// Stats returns the counters.
func (s *Stack) Stats() Stats {
	c := &s.count
	st := Stats{
		Messages:  make(map[string]Traffic, len(s.kinds)),
		Malformed: c.malformed.Load(), Dropped: c.dropped.Load(), Unanswered: c.unanswered.Load(),
		Replayed: c.replayed.Load(), Merged: c.merged.Load(), Late: c.late.Load(), Stray: c.stray.Load(),
		Refused: c.refused.Load(), Handshakes: c.handshakes.Load(), Retransmits: c.retransmits.Load(),
		Pending: s.client.pending(), ReplayBytes: s.replay.size(),
	}
	for name, k := range s.kinds {
		st.Messages[name] = Traffic{k.traffic.received.Load(), k.traffic.sent.Load()}
	}
	s.mu.Lock()
	st.Connections = len(s.conns)
	s.mu.Unlock()
	return st
}
