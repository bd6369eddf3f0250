package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"imp/internal/cli/kit"
	"imp/internal/doc/lists"
	"imp/internal/doc/xcaperror"
	"imp/internal/xcap/client"
	"imp/internal/xcap/uri"
	appusage "imp/internal/xcap/usage"
	"imp/internal/xml/selector"
	xmltree "imp/internal/xml/tree"
)

// body makes what a PUT sends of what the user gave, with its type: documents are checked as the server would, elements
// and attributes for what can be seen without the document around them.
func (t *xcapTarget) body(src []byte, mediaType string) ([]byte, string, error) {
	switch node := client.Type(t.uri); {
	case node == "":
		mediaType, err := t.mediaType(mediaType)
		if err != nil {
			return nil, "", err
		}
		return src, mediaType, t.checkDocument(src)
	case strings.HasPrefix(t.uri.Steps[len(t.uri.Steps)-1], "@"):
		src, err := t.attribute(src)
		return src, node, err
	default:
		src = bytes.TrimSpace(src)
		return src, node, t.checkElement(src)
	}
}

// mediaType is the type of a document.
func (t *xcapTarget) mediaType(given string) (string, error) {
	switch {
	case given != "":
		return given, nil
	case t.usage == nil:
		return "", kit.Fail(kit.ExitUsage, "putting "+t.short(), "the type of its documents is not known", "give it with --type, such as --type application/vnd.example+xml")
	}
	return t.usage.MediaType, nil
}

// checkDocument refuses what the server would (RFC 4825 section 7).
func (t *xcapTarget) checkDocument(src []byte) error {
	if t.usage == nil {
		_, err := xmltree.Parse(src, xmltree.Options{})
		return err
	}
	doc, report, err := appusage.Parse(src, xmltree.Limits{})
	if report != nil {
		return report
	}
	if err != nil {
		return err
	}
	if report := t.usage.Check(doc, appusage.Context{URI: t.document(), Roots: []uri.Root{t.root}, Naming: uri.Naming{Domain: t.acct.Domain}}); report != nil {
		return report
	}
	return checkReferences(doc)
}

// checkReferences refuses references to what cannot be meant (RFC 4826 sections 3.1 and 4.1), which no server looks at.
func checkReferences(doc *xmltree.Tree) error {
	var walk func(n xmltree.Node) error
	walk = func(n xmltree.Node) error {
		for e := range n.Elements() {
			kind, value := lists.External, ""
			switch {
			case e.Is(lists.Space, "entry-ref"):
				kind = lists.EntryRef
				value, _ = e.Attr("", "ref")
			case e.Is(lists.Space, "external"):
				value, _ = e.Attr("", "anchor")
			case e.Is(lists.ServicesSpace, "resource-list"):
				value = strings.TrimSpace(e.Text())
			}
			if value != "" {
				if err := lists.CheckReference(kind, value); err != nil {
					line, col := e.Position()
					return xcaperror.New(xcaperror.Constraint, "%d:%d: %v", line, col, err)
				}
			}
			if err := walk(e); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(doc.Root())
}

// attribute makes a quoted value of what the user gave: as it is when it is one already, else the text of its line.
func (t *xcapTarget) attribute(src []byte) ([]byte, error) {
	if bytes.HasPrefix(bytes.TrimSpace(src), []byte(`"`)) || bytes.HasPrefix(bytes.TrimSpace(src), []byte(`'`)) {
		src = bytes.TrimSpace(src)
	} else {
		text := string(bytes.TrimSuffix(bytes.TrimSuffix(src, []byte("\n")), []byte("\r")))
		src = append(xmltree.AppendValue([]byte{'"'}, text, '"'), '"')
	}
	probe, err := xmltree.Parse(append(append([]byte("<a b="), src...), "/>"...), xmltree.Options{})
	if err != nil {
		return nil, xcaperror.New(xcaperror.NotAttributeText, "it is no value of an attribute: a quoted text without < and without a bare &")
	}
	value, ok := probe.Root().Attr("", "b")
	count := 0
	for range probe.Root().Attrs() {
		count++
	}
	if !ok || count != 1 {
		return nil, xcaperror.New(xcaperror.NotAttributeText, "it is more than one quoted value")
	}
	return src, t.agreesValue(value)
}

// agreesValue refuses a value that the selector would not select afterwards (RFC 4825 section 7.7).
func (t *xcapTarget) agreesValue(value string) error {
	sel, err := t.selector()
	if err != nil {
		return err
	}
	steps := sel.Steps()
	if len(steps) < 2 {
		return nil
	}
	last, owner := steps[len(steps)-1], steps[len(steps)-2]
	for _, q := range owner.Predicates {
		if q.Test == selector.AttributeValue && q.Space == last.Space && q.Local == last.Local && q.Value != value {
			return xcaperror.New(xcaperror.CannotInsert, "the target tests %s for %q, and would not select the new value %q", last, q.Value, value)
		}
	}
	return nil
}

// prefixed finds what may be prefixes in a fragment.
var prefixed = regexp.MustCompile(`[<\s/]([\p{L}_\x{80}-\x{10FFFF}][\p{L}\p{N}._\-\x{80}-\x{10FFFF}]*):`)

// unknownSpace is the namespace of names whose prefix only the document around a fragment binds.
const unknownSpace = "urn:imp:not-known:"

// errUnseen is the reason why nothing can be said about a fragment without the document around it.
var errUnseen = errors.New("a fragment that cannot be read alone")

// parseFragment reads an element that may use the prefixes and the default namespace of the document around it.
func parseFragment(src []byte) (xmltree.Node, error) {
	wrapped := []byte(`<w xmlns="` + unknownSpace + `"`)
	bound := map[string]bool{"xml": true, "xmlns": true}
	for _, m := range prefixed.FindAllSubmatch(src, -1) {
		if prefix := string(m[1]); !bound[prefix] {
			bound[prefix] = true
			wrapped = append(wrapped, ` xmlns:`+prefix+`="`+unknownSpace+prefix+`"`...)
		}
	}
	head := len(wrapped) + 1
	wrapped = append(append(append(wrapped, '>'), src...), "</w>"...)
	doc, err := xmltree.Parse(wrapped, xmltree.Options{})
	var syntax *xmltree.Error
	switch {
	case errors.As(err, &syntax) && (syntax.Offset < head || errors.Is(err, xmltree.ErrLimit)):
		return xmltree.Node{}, errUnseen
	case errors.As(err, &syntax):
		if syntax.Line == 1 {
			syntax.Col = max(1, syntax.Col-utf8.RuneCount(wrapped[:head]))
		}
		return xmltree.Node{}, syntax
	case err != nil:
		return xmltree.Node{}, err
	}
	first := doc.Root().FirstChild()
	if first.Kind() != xmltree.Element || first.NextSibling().Valid() {
		return xmltree.Node{}, errors.New("it is not one element, from its start tag to its end tag")
	}
	return first, nil
}

// checkElement refuses an element that is none, and one that the last step of the target would not select (RFC 4825
// section 7.4).
func (t *xcapTarget) checkElement(src []byte) error {
	if bytes.HasPrefix(src, []byte("<?xml")) {
		return xcaperror.New(xcaperror.NotFragment, "it begins with an XML declaration: an element is put from its start tag to its end tag")
	}
	el, err := parseFragment(src)
	if errors.Is(err, errUnseen) {
		return nil // the server sees
	}
	if err != nil {
		return xcaperror.New(xcaperror.NotFragment, "%v", err)
	}
	sel, err := t.selector()
	if err != nil {
		return err
	}
	steps := sel.Steps()
	last := steps[len(steps)-1]
	if !last.Any && (el.Local() != last.Local || !strings.HasPrefix(el.Space(), unknownSpace) && el.Space() != last.Space) {
		return xcaperror.New(xcaperror.CannotInsert, "the element is <%s> of %s, the target ends with %s", el.Name(), shownSpace(el.Space()), last)
	}
	for _, q := range last.Predicates {
		if q.Test != selector.AttributeValue || q.Space != "" {
			continue
		}
		if value, ok := el.Attr("", q.Local); !ok || value != q.Value {
			return xcaperror.New(xcaperror.CannotInsert, "the target tests %s, the element has %s", q, shownAttr(q.Local, value, ok))
		}
	}
	return nil
}

func shownSpace(space string) string {
	if strings.HasPrefix(space, unknownSpace) {
		return "the namespace around it"
	}
	return cmp.Or(space, "no namespace")
}

func shownAttr(name, value string, ok bool) string {
	if !ok {
		return "no attribute " + name
	}
	return fmt.Sprintf("%s=%q", name, value)
}

// refusedBody is the error of what is not sent.
func (t *xcapTarget) refusedBody(name string, err error) error {
	if own := (*kit.Error)(nil); err == nil || errors.As(err, &own) {
		return err
	}
	hint := "imp xml check tells more; --no-check sends it all the same"
	switch report := (*xcaperror.Report)(nil); {
	case errors.As(err, &report) && report.Condition == xcaperror.NotUTF8, errors.Is(err, xmltree.ErrDTD), strings.Contains(err.Error(), xmltree.ErrDTD.Error()):
		hint = "imp xml canon makes UTF-8 of it, without a document type declaration"
	case report != nil && report.Condition == xcaperror.SchemaValidation && len(t.uri.Steps) > 0:
		hint = "--no-check leaves that to the server"
	case len(t.uri.Steps) > 0:
		hint = "name and attributes in the last step of the target have to be those of what is put; --no-check sends it all the same"
	}
	return kit.Fail(kit.ExitDocument, "checking "+inputName(name)+" for "+t.short(), err, hint)
}
