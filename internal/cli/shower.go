package cli

import (
	"strings"

	"github.com/antchfx/xpath"

	"imp/internal/cli/kit"
	"imp/internal/sip/event"
	"imp/internal/xml/query"
	xmltree "imp/internal/xml/tree"
)

// shower prints notifications as the flags of a watch ask for.
type shower struct {
	kit   *kit.Kit
	pkg   string
	once  bool                     // a fetch
	query *xpath.Expr              // of --select
	etag  string                   // of the state that is known from before
	known map[string]string        // and of the one told last, by resource
	lists map[string]*listTables   // by resource
	emit  func(*notifyEvent) error // prints one event

	copies map[string]*partialCopy // by resource
}

func newShower(o *watchOptions) (*shower, error) {
	pkg, _, _ := strings.Cut(o.event, ";")
	s := &shower{kit: o.kit, etag: o.etag, pkg: strings.TrimSpace(pkg), emit: func(e *notifyEvent) error { return o.kit.Emit(e) }}
	if o.choose == "" {
		return s, nil
	}
	var err error
	s.query, err = kit.CompileXPath(o.choose, o.wait.NS)
	return s, err
}

// show prints a notification.
func (s *shower) show(target string, n *event.Notification) (*notifyEvent, error) {
	e, err := newNotifyEvent(s.kit, target, s.pkg, n)
	if err != nil {
		return nil, err
	}
	if err := s.compose(e, n.Dialog); err != nil {
		return nil, kit.Fail(kit.ExitDocument, "reading the presence document of "+target, err, "print it as it came with -o raw")
	}
	e.once, e.only = s.once, s.query != nil
	s.compare(e)
	if e.body != nil && isList(e.BodyType) {
		if err := s.expand(e, n.Dialog); err != nil {
			return nil, err
		}
	}
	for _, part := range e.all() {
		if err := s.print(part); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// expand takes the resources out of a list.
func (s *shower) expand(e *notifyEvent, dialog string) error {
	if s.lists == nil {
		s.lists = map[string]*listTables{}
	}
	if s.lists[e.Resource] == nil {
		s.lists[e.Resource] = &listTables{}
	}
	return s.lists[e.Resource].expand(s.kit, e, dialog)
}

// print prints one event.
func (s *shower) print(e *notifyEvent) (err error) {
	if body := e.XML(); body != nil && s.query != nil {
		if e.Selected, err = selectXPath(body, s.query); err != nil {
			return kit.Fail(kit.ExitDocument, "selecting in the body for "+e.Resource, err, "the body is not well-formed; -o raw shows it as it came")
		}
	}
	return s.emit(e)
}

// compare tells by its entity-tag a state that is what it was.
func (s *shower) compare(e *notifyEvent) {
	known, ok := s.known[e.Resource]
	if !ok {
		known = s.etag
	}
	e.Unchanged = (s.once || e.State == "active") && e.body == nil && e.ETag != "" && e.ETag == known
	if s.known == nil {
		s.known = map[string]string{}
	}
	s.known[e.Resource] = e.ETag
}

// selectXPath gives what an expression finds in a document: elements as they
// stand in the source, everything else as text.
func selectXPath(doc []byte, expr *xpath.Expr) ([]string, error) {
	t, err := xmltree.Parse(doc, xmltree.Options{})
	if err != nil {
		return nil, err
	}
	r, err := query.Evaluate(t, expr)
	if err != nil {
		return nil, err
	}
	return r.Strings(), nil
}
