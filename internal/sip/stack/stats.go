package stack

// Traffic counts messages of one transport.
type Traffic struct{ In, Out uint64 }

// Stats are counters since New and gauges of the moment.
type Stats struct {
	Messages map[string]Traffic // by transport

	Malformed   uint64 // messages that were answered 400 or dropped for their syntax
	Dropped     uint64 // datagrams for which the worker's queue had no room
	Unanswered  uint64 // answers that could not be sent
	Replayed    uint64 // retransmissions answered from memory
	Merged      uint64 // requests answered 482
	Stray       uint64 // responses without a transaction
	Refused     uint64 // connections over the limit
	Retransmits uint64 // requests sent again by timer E

	Connections int // open streams
	Pending     int // client transactions
	ReplayBytes int // bytes held for retransmissions
}

// Stats returns the counters.
func (s *Stack) Stats() Stats { return Stats{} }
