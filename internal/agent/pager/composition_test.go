package pager_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/agent/pager"
	"imp/internal/doc/composing"
)

// composition is a Composition with bob, and what failed in it.
func composition(t *testing.T, s *sending, set composing.Settings) (c *pager.Composition, failed *[]error) {
	t.Helper()
	failed = new([]error)
	c = pager.NewComposition(s.Sender, "sip:bob@example.com", set, func(err error) { *failed = append(*failed, err) })
	t.Cleanup(c.Close)
	return c, failed
}

// status reads the status message that must have been sent, and answers it.
func (s *sending) status(answer int) string {
	s.t.Helper()
	synctest.Wait()
	call := s.wire.Next()
	call.Wants("Content-Type", composing.MediaType)
	d, err := composing.Parse(call.Body())
	if err != nil {
		s.t.Fatal(err)
	}
	call.Answer(answer)
	synctest.Wait()
	return d.State
}

func composes(t *testing.T, set composing.Settings, f func(*testing.T, *sending, *pager.Composition, *[]error)) {
	t.Helper()
	withSender(t, pager.SenderConfig{}, func(t *testing.T, s *sending) {
		c, failed := composition(t, s, set)
		f(t, s, c, failed)
		c.Close()
		synctest.Wait()
		s.wire.Silent()
	})
}

func TestComposition(t *testing.T) {
	t.Run("COMP-007 COMP-010 the first input is told, and that there is none for 15 s", func(t *testing.T) {
		composes(t, composing.Settings{}, func(t *testing.T, s *sending, c *pager.Composition, _ *[]error) {
			for range 3 {
				c.Input()
			}
			synctest.Wait()
			call := s.wire.Next()
			call.Wants("Priority", "non-urgent")
			call.Wants("Expires", "0")
			call.Answer(200)
			time.Sleep(14 * time.Second)
			synctest.Wait()
			s.wire.Silent()
			time.Sleep(2 * time.Second)
			if got := s.status(200); got != composing.Idle {
				t.Error(got)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			s.wire.Silent()
		})
	})
	t.Run("COMP-008 COMP-012 who goes on is told anew each interval, and who ceased is not", func(t *testing.T) {
		composes(t, composing.Settings{Refresh: time.Second}, func(t *testing.T, s *sending, c *pager.Composition, _ *[]error) {
			c.Input()
			s.status(200)
			for range 7 {
				time.Sleep(10 * time.Second)
				c.Input()
			}
			if got := s.status(200); got != composing.Active {
				t.Error(got)
			}
			s.wire.Silent()
			time.Sleep(20 * time.Second)
			if got := s.status(200); got != composing.Idle {
				t.Error(got)
			}
			time.Sleep(time.Hour)
		})
	})
	t.Run("COMP-011 content tells by itself that its composer is idle", func(t *testing.T) {
		composes(t, composing.Settings{}, func(t *testing.T, s *sending, c *pager.Composition, _ *[]error) {
			c.Input()
			s.status(200)
			done, err := c.Content(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			done()
			time.Sleep(time.Hour)
		})
	})
	t.Run("COMP-015 after 415 there are no more", func(t *testing.T) {
		composes(t, composing.Settings{}, func(t *testing.T, s *sending, c *pager.Composition, failed *[]error) {
			c.Input()
			s.status(415)
			if len(*failed) != 1 {
				t.Errorf("%v", *failed)
			}
			time.Sleep(time.Hour)
			if done, err := c.Content(t.Context()); err == nil {
				done()
			}
			c.Input()
		})
	})
	t.Run("COMP-017 content waits for the status message under way, and the next status for the content", func(t *testing.T) {
		composes(t, composing.Settings{}, func(t *testing.T, s *sending, c *pager.Composition, _ *[]error) {
			c.Input()
			synctest.Wait()
			active := s.wire.Next()
			var order []string
			go func() {
				done, err := c.Content(t.Context())
				if err != nil {
					t.Error(err)
				}
				order = append(order, "content")
				time.Sleep(time.Second)
				done()
			}()
			synctest.Wait()
			c.Input() // the next message
			synctest.Wait()
			if s.wire.Silent(); len(order) != 0 {
				t.Error("content does not wait")
			}
			active.Answer(200)
			synctest.Wait()
			if s.wire.Silent(); !slices.Equal(order, []string{"content"}) {
				t.Errorf("%q", order)
			}
			time.Sleep(2 * time.Second)
			if got := s.status(200); got != composing.Active {
				t.Error(got)
			}
		})
	})
	t.Run("COMP-017 content goes before a status message that waits", func(t *testing.T) {
		composes(t, composing.Settings{}, func(t *testing.T, s *sending, c *pager.Composition, _ *[]error) {
			c.Input()
			synctest.Wait()
			active := s.wire.Next()
			time.Sleep(16 * time.Second) // idle: it waits
			synctest.Wait()
			s.wire.Silent()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if done, err := c.Content(ctx); err == nil {
				done()
			} else if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			active.Answer(200)
			synctest.Wait()
		})
	})
}
