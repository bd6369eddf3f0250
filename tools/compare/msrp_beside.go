//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"imp/internal/msrp/wire"
)

// Small messages beside a bulk transfer.
const (
	smalls    = 400
	early     = 10                   // of them, that are not measured
	smallTime = 5 * time.Millisecond // between two of them
	stampSize = 16                   // bytes of a small message: when it was sent, as a hexadecimal number
)

// beside has small messages of one source relayed to the sink of a bulk transfer from another one, and gives the
// milliseconds that 99 of 100 of them take at most. The bulk transfer is that of the rows of chunks.
func (b *bench) beside(ctx context.Context, s *msrpRelay, which int) (float64, error) {
	row := msrpRows[len(msrpRows)-1]
	p, err := s.open(ctx, row, row.size[which], row.batch[which])
	if err != nil {
		return 0, err
	}
	defer p.close()
	other, err := s.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer other.Close()
	if t, ok := other.(*tls.Conn); ok {
		if err := t.HandshakeContext(ctx); err != nil {
			return 0, err
		}
	}
	done := make(chan struct{})
	defer close(done)
	stop := context.AfterFunc(ctx, func() { _ = p.sink.SetReadDeadline(time.Now()) })
	defer stop()
	count, arrived := b.count(smalls)+early, p.flood(done)
	go p.sendSmall(other, count, done)
	var took []time.Duration
	for len(took) < count {
		_ = p.sink.SetReadDeadline(time.Now().Add(patience))
		if err := p.take(); err != nil {
			return 0, fmt.Errorf("message %d of %d: %w", len(took)+1, count, err)
		}
		if string(p.id) != "small" {
			arrived()
			continue
		}
		sent, err := strconv.ParseInt(string(p.body), 16, 64)
		if err != nil {
			return 0, fmt.Errorf("a small message has arrived altered: %w", err)
		}
		took = append(took, time.Since(time.Unix(0, sent)))
	}
	took = took[early:]
	slices.Sort(took)
	return took[(len(took)-1)*99/100].Seconds() * 1e3, nil
}

// flood sends without an end, with two batches on their way. The function is to be called for each message that has
// arrived.
func (p *passage) flood(done <-chan struct{}) (arrived func()) {
	way := make(chan struct{}, 2*max(1, p.batch/len(p.frame)))
	go func() {
		for {
			select {
			case way <- struct{}{}:
			case <-done:
				return
			}
			if _, err := p.source.Write(p.frame); err != nil {
				return // the sink misses it
			}
		}
	}()
	return func() { <-way }
}

// sendSmall sends small messages, which say when they were sent.
func (p *passage) sendSmall(w io.Writer, count int, done <-chan struct{}) {
	tick := time.NewTicker(smallTime)
	defer tick.Stop()
	for range count {
		select {
		case <-tick.C:
		case <-done:
			return
		}
		stamp := fmt.Sprintf("%0*x", stampSize, time.Now().UnixNano())
		_, err := w.Write(send("smallone", wire.SEND, p.to, "msrp://other.invalid:9/other;tcp",
			"Message-ID: small\r\nByte-Range: 1-16/16\r\nFailure-Report: no\r\nContent-Type: a/b\r\n\r\n"+stamp+"\r\n"))
		if err != nil {
			return // the sink misses it
		}
	}
}
