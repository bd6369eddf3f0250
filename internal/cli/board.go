package cli

import (
	"cmp"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"imp/internal/cli/kit"
)

// board is what imp watch draws: a line for each resource, in the order in which
// they came. Its methods are those of tea.Model.
type board struct {
	style *kit.Style
	now   func() time.Time
	width int // of the terminal; 0: not known
	rows  []boardRow
}

// boardRow is what is known of one resource.
type boardRow struct {
	uri, instance, list   string
	name                  string
	state                 string // of the subscription, and its reason
	basic, activity, note string
	since                 time.Time
}

// Init does nothing: all that changes the board is sent to it.
func (b *board) Init() tea.Cmd { return nil }

// Update takes over a notification, or the width of the terminal.
func (b *board) Update(m tea.Msg) (tea.Model, tea.Cmd) {
	switch m := m.(type) {
	case *notifyEvent:
		b.notified(m)
	case tea.WindowSizeMsg:
		b.width = m.Width
	}
	return b, nil
}

// View draws the board.
func (b *board) View() tea.View { return tea.NewView(b.draw()) }

// notified changes the row of a resource. A list has none, its members have.
func (b *board) notified(e *notifyEvent) {
	if e.list != nil {
		if e.list.FullState {
			b.keep(e)
		}
		return
	}
	row := b.row(e)
	row.name = cmp.Or(e.Name, row.name)
	row.state = e.State
	if e.Reason != "" {
		row.state += " (" + e.Reason + ")"
	}
	switch {
	case e.presence != nil:
		one := func(key string) string { return strings.Join(e.presence.Facts(key), ", ") }
		row.basic, row.activity, row.note = e.presence.Basic(), one("activity"), one("note")
		row.since = e.presence.Newest()
	case e.State != "active": // nothing is known any more
		row.basic, row.activity, row.note, row.since = "", "", "", time.Time{}
	}
}

// row is that of the resource of an event, a new one when it has none.
func (b *board) row(e *notifyEvent) *boardRow {
	for i := range b.rows {
		if r := &b.rows[i]; r.uri == e.Resource && r.instance == e.Instance {
			return r
		}
	}
	b.rows = append(b.rows, boardRow{uri: e.Resource, instance: e.Instance, list: e.List})
	return &b.rows[len(b.rows)-1]
}

// keep drops the rows that a list had and has no longer.
func (b *board) keep(e *notifyEvent) {
	has := map[string]bool{}
	for _, r := range e.list.Resources {
		has[r.URI] = true
	}
	b.rows = slices.DeleteFunc(b.rows, func(r boardRow) bool { return r.list == e.Resource && !has[r.uri] })
}

// draw writes the table, no line of which is wider than the terminal.
func (b *board) draw() string {
	if len(b.rows) == 0 {
		return b.style.Dim("nothing has come yet") + "\n"
	}
	s, now := b.style, b.now()
	rows := make([][]string, len(b.rows))
	for i, r := range b.rows {
		who := kit.CleanLine(strings.TrimPrefix(r.uri, "sip:"))
		if r.name != "" {
			who = kit.CleanLine(r.name)
		}
		status := s.Dim(kit.CleanLine(r.state))
		switch r.basic {
		case "open":
			status = s.Good(r.basic)
		case "closed":
			status = s.Bad(r.basic)
		}
		since := ""
		if !r.since.IsZero() {
			since = s.Time(r.since, now)
		}
		rows[i] = []string{s.Name(clip(who, 30)), status, s.Busy(clip(kit.CleanLine(r.activity), 20)), since, clip(kit.CleanLine(r.note), b.room())}
	}
	var out strings.Builder
	s.Table(&out, []string{"WHO", "STATUS", "ACTIVITY", "SINCE", "NOTE"}, rows)
	return out.String()
}

// room is how long a note may be.
func (b *board) room() int {
	const others = 30 + 2 + 10 + 2 + 20 + 2 + 16 + 2
	return max(b.width-others, 12)
}

// clip shortens text to so many characters.
func clip(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}
