package usage

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"imp/internal/doc/xcaperror"
	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

const declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// Caps writes the capabilities of a server (RFC 4825 section 12): its usages, xcap-caps among them, and the namespaces that their
// documents are checked for.
func Caps(usages []*Usage) []byte {
	auids, spaces := []string{"xcap-caps"}, []string{spaceCaps, xcaperror.Space}
	for _, u := range usages {
		auids, spaces = append(auids, u.AUID), append(spaces, u.Namespaces...)
	}
	dst := []byte(declaration + `<xcap-caps xmlns="` + spaceCaps + `">`)
	for _, list := range []struct {
		name  string
		items []string
	}{{"auid", auids}, {"namespace", spaces}} {
		slices.Sort(list.items)
		dst = append(dst, "\n  <"+list.name+"s>"...)
		for _, s := range slices.Compact(list.items) {
			dst = append(dst, "\n    <"+list.name+">"...)
			dst = append(tree.AppendText(dst, s), "</"+list.name+">"...)
		}
		dst = append(dst, "\n  </"+list.name+"s>"...)
	}
	return append(dst, "\n</xcap-caps>\n"...)
}

// Entry is a document of a user as xcap-directory lists it.
type Entry struct {
	AUID     string
	URI      string // of the document
	ETag     string // without quotes
	Modified time.Time
	Size     int // bytes
}

// Directory writes the directory of a user's documents, a folder for each application usage.
func Directory(entries []Entry) []byte {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(strings.Compare(a.AUID, b.AUID), strings.Compare(a.URI, b.URI))
	})
	dst := []byte(declaration + `<xcap-directory xmlns="` + spaceDir + `">`)
	for i, e := range entries {
		if i == 0 || entries[i-1].AUID != e.AUID {
			dst = append(dst, "\n  <folder"...)
			dst = append(lexical.AppendAttribute(dst, "auid", e.AUID), '>')
		}
		dst = append(dst, "\n    <entry"...)
		dst = lexical.AppendAttribute(dst, "uri", e.URI)
		dst = lexical.AppendAttribute(dst, "etag", e.ETag)
		if !e.Modified.IsZero() {
			dst = lexical.AppendAttribute(dst, "last-modified", e.Modified.UTC().Format(time.RFC3339))
		}
		dst = append(lexical.AppendAttribute(dst, "size", strconv.Itoa(e.Size)), "/>"...)
		if i == len(entries)-1 || entries[i+1].AUID != e.AUID {
			dst = append(dst, "\n  </folder>"...)
		}
	}
	return append(dst, "\n</xcap-directory>\n"...)
}

// Service is a service as the index has it.
type Service struct {
	URI  string // canonical
	Text []byte // the element as it was written, with all namespaces in scope declared on it
}

// Equal reports whether two services are written alike.
func (s Service) Equal(o Service) bool { return s.URI == o.URI && bytes.Equal(s.Text, o.Text) }

// Definitions returns the services of an rls-services document in its order. They hold nothing of the tree.
func Definitions(t *tree.Tree) (list []Service) {
	for n := range services(t) {
		list = append(list, Service{canonical(n), appendService(nil, n)})
	}
	return list
}

// Index writes the union of services, as the global document of rls-services is it (RFC 4826 section 4.4.8).
func Index(list iter.Seq[Service]) []byte {
	head, tail, between := declaration+`<rls-services xmlns="`+spaceRLS+`">`, "\n</rls-services>\n", "\n  "
	size := len(head) + len(tail)
	for s := range list {
		size += len(between) + len(s.Text)
	}
	dst := append(make([]byte, 0, size), head...)
	for s := range list {
		dst = append(append(dst, between...), s.Text...)
	}
	return append(dst, tail...)
}

func appendService(dst []byte, n tree.Node) []byte {
	own := map[string]bool{}
	for d := range n.Decls() {
		own[d.Prefix()] = true
	}
	src := n.Bytes()
	head := 1 + len(n.Name())
	dst = append(dst, src[:head]...)
	if _, ok := n.LookupPrefix(""); !ok && !own[""] {
		dst = append(dst, ` xmlns=""`...)
	}
	for prefix, space := range n.InScope() {
		switch {
		case own[prefix] || prefix == "xml" || space == "":
		case prefix == "" && space == spaceRLS: // that of the index
		case prefix == "":
			dst = lexical.AppendAttribute(dst, "xmlns", space)
		default:
			dst = lexical.AppendAttribute(dst, "xmlns:"+prefix, space)
		}
	}
	return append(dst, src[head:]...)
}

// icon checks a pres-content document: its elements, each once but description, and that data is what encoding says.
func icon(t *tree.Tree, _ Context) *xcaperror.Report {
	root := t.Root()
	if !root.Is(spaceIcon, "content") {
		return invalid(root, "the root is <"+lexical.Clip(root.Name())+">, expected the content of "+spaceIcon)
	}
	seen := map[string]bool{}
	for n := range root.Elements() {
		if n.Space() != spaceIcon {
			if n.Space() == "" {
				return invalid(n, "<"+lexical.Clip(n.Name())+"> is in no namespace")
			}
			continue
		}
		switch name := n.Local(); name {
		case "mime-type", "encoding", "data", "description":
			if seen[name] && name != "description" {
				return invalid(n, "<"+name+"> stands twice")
			}
			for range n.Elements() {
				return invalid(n, "<"+name+"> has elements in it, expected text")
			}
			seen[name] = true
		default:
			return invalid(n, "<"+lexical.Clip(n.Name())+"> is no part of content, expected mime-type, encoding, description or data")
		}
	}
	data := root.Element(spaceIcon, "data")
	if !data.Valid() {
		return invalid(root, "<content> has no data")
	}
	if strings.EqualFold(lexical.Trim(root.Element(spaceIcon, "encoding").Text()), "base64") {
		if _, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data.Text()), "")); err != nil {
			line, col := data.Position()
			return xcaperror.New(xcaperror.Constraint, "%d:%d: the data is no base64", line, col)
		}
	}
	return nil
}

func invalid(n tree.Node, why string) *xcaperror.Report {
	line, col := n.Position()
	return xcaperror.New(xcaperror.SchemaValidation, "%d:%d: %s", line, col, why)
}
