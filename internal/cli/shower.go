package cli

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/antchfx/xmlquery"
	"github.com/antchfx/xpath"

	"imp/internal/cli/kit"
	"imp/internal/sip/event"
	xmltree "imp/internal/xml/tree"
)

// shower prints notifications as the flags of a watch ask for.
type shower struct {
	kit   *kit.Kit
	pkg   string
	once  bool        // a fetch
	query *xpath.Expr // of --select
}

func newShower(o *watchOptions) (*shower, error) {
	pkg, _, _ := strings.Cut(o.event, ";")
	s := &shower{kit: o.kit, pkg: strings.TrimSpace(pkg)}
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
	e.once = s.once
	if s.query != nil {
		e.only = true
		if body := e.XML(); body != nil {
			if e.Selected, err = selectXPath(body, s.query); err != nil {
				return nil, kit.Fail(kit.ExitDocument, "selecting in the body for "+target, err, "")
			}
		}
	}
	return e, s.kit.Emit(e)
}

// selectXPath gives what query finds in a document: elements as they stand in
// the source, everything else as text.
func selectXPath(doc []byte, query *xpath.Expr) (found []string, err error) {
	defer func() {
		if r := recover(); r != nil { // the library panics on a few expressions
			err = fmt.Errorf("the expression cannot be evaluated: %v", r)
		}
	}()
	t, err := xmltree.Parse(doc, xmltree.Options{})
	if err != nil {
		return nil, err
	}
	dom, err := xmlquery.Parse(bytes.NewReader(doc))
	if err != nil {
		return nil, err
	}
	switch v := query.Evaluate(xmlquery.CreateXPathNavigator(dom)).(type) {
	case *xpath.NodeIterator:
		for v.MoveNext() {
			nav, ok := v.Current().(*xmlquery.NodeNavigator)
			if ok && nav.NodeType() == xpath.ElementNode {
				found = append(found, string(sameElement(t, nav.Current()).Bytes()))
				continue
			}
			found = append(found, v.Current().Value())
		}
	case string:
		found = []string{v}
	default:
		found = []string{fmt.Sprint(v)}
	}
	return found, nil
}

// sameElement finds the element in our tree that stands where n does, counting
// elements only.
func sameElement(t *xmltree.Tree, n *xmlquery.Node) xmltree.Node {
	var path []int
	for ; n.Parent != nil; n = n.Parent {
		before := 0
		for s := n.PrevSibling; s != nil; s = s.PrevSibling {
			if s.Type == xmlquery.ElementNode {
				before++
			}
		}
		path = append(path, before)
	}
	at := t.Document()
	for i := len(path) - 1; i >= 0; i-- {
		skip := path[i]
		for e := range at.Elements() {
			if skip == 0 {
				at = e
				break
			}
			skip--
		}
	}
	return at
}
