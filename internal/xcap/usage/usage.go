// Package usage implements application usages of XCAP (RFC 4825 section 5) and those that imp offers: resource-lists and rls-services
// (RFC 4826), pres-rules (RFC 5025), pidf-manipulation (RFC 4827), xcap-caps (RFC 4825 section 12), and of OMA pres-rules,
// pres-content and xcap-directory. They know documents, not servers and stores.
package usage

import (
	"errors"
	"mime"
	"slices"
	"strings"

	"imp/internal/doc/xcaperror"
	"imp/internal/xcap/uri"
	"imp/internal/xml/grammar"
	"imp/internal/xml/tree"
)

// Usage is an application usage.
type Usage struct {
	AUID       string
	Namespace  string   // default document namespace
	MediaType  string   // of documents
	Namespaces []string // that documents are checked for, as xcap-caps lists them

	grammar string // name of the document type, "" when rules alone check
	place   func(*uri.URI) Place
	rules   func(*tree.Tree, Context) *xcaperror.Report // beyond the grammar
	open    func(*uri.URI) Audience                     // who may read a user's document, Owner when nil
	global  Audience                                    // who may read global documents
	write   Audience                                    // who may write them
}

// Place tells what there can be under a URI by the naming conventions of a usage (RFC 4825 section 5.5).
type Place uint8

// The places.
const (
	Nowhere   Place = iota // nothing, ever: reading is 404, writing a conflict
	Stored                 // a document that users write
	Generated              // a document that the server makes, read-only
)

// Place returns what there can be under the URI of a document.
func (u *Usage) Place(d *uri.URI) Place { return u.place(d) }

// Shared reports whether users may read documents of other users.
func (u *Usage) Shared() bool { return u.open != nil }

// Context is what the check of a document needs to know beside it.
type Context struct {
	URI    *uri.URI // of the document, canonical
	Roots  []uri.Root
	Naming uri.Naming
	// Taken reports whether the URI of a service belongs to another document or to any other resource; nil when nobody can tell.
	Taken func(uri string) bool
}

// Parse reads a document that a client puts. The report is the answer to what is not well-formed, not UTF-8, or has a document type
// declaration; a document beyond the limits is an error that is tree.ErrLimit and no report (413).
func Parse(src []byte, limits tree.Limits) (*tree.Tree, *xcaperror.Report, error) {
	t, err := tree.Parse(src, tree.Options{Limits: limits})
	switch {
	case err == nil:
		return t, nil, nil
	case errors.Is(err, tree.ErrLimit):
		return nil, nil, err
	case errors.Is(err, tree.ErrUTF8), errors.Is(err, tree.ErrEncoding):
		return nil, xcaperror.New(xcaperror.NotUTF8, "%v", err), nil
	case errors.Is(err, tree.ErrDTD):
		return nil, xcaperror.New(xcaperror.Constraint, "%v", err), nil
	}
	return nil, xcaperror.New(xcaperror.NotWellFormed, "%v", err), nil
}

// Takes reports whether a Content-Type is the one of documents, whatever its parameters are (RFC 4825 section 8.2.2).
func (u *Usage) Takes(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return false
	}
	return strings.EqualFold(t, u.MediaType)
}

// Check returns why a document cannot be stored, nil when it can: by the grammar, then uniqueness, then other constraints (RFC 4825
// section 8.2.5). An element of a namespace that the grammar knows and that has no such element is refused too. The tree should be
// unedited, so that the phrase says where.
func (u *Usage) Check(t *tree.Tree, c Context) *xcaperror.Report {
	if u.place(c.URI) != Stored {
		return xcaperror.New(xcaperror.Constraint, "%s has no document of this name that can be written", u.AUID)
	}
	if u.grammar != "" {
		if r := u.valid(t); r != nil {
			return r
		}
	}
	if u.rules != nil {
		return u.rules(t, c)
	}
	return nil
}

func (u *Usage) valid(t *tree.Tree) *xcaperror.Report {
	g, _ := grammar.ByName(u.grammar)
	problems := g.CheckKnown(t)
	if len(problems) == 0 {
		return nil
	}
	p := problems[0]
	return xcaperror.New(xcaperror.SchemaValidation, "%d:%d: %s", p.Line, p.Col, p.Text)
}

const (
	spacePIDF  = "urn:ietf:params:xml:ns:pidf"
	spaceLists = "urn:ietf:params:xml:ns:resource-lists"
	spaceRLS   = "urn:ietf:params:xml:ns:rls-services"
	spaceRules = "urn:ietf:params:xml:ns:pres-rules"
	spaceCP    = "urn:ietf:params:xml:ns:common-policy"
	spaceCaps  = "urn:ietf:params:xml:ns:xcap-caps"
	spaceIcon  = "urn:oma:xml:prs:pres-content"
	spaceDir   = "urn:oma:xml:xdm:xcap-directory"
)

// all are the usages, by AUID.
var all = []*Usage{
	{
		AUID: "org.openmobilealliance.pres-content", Namespace: spaceIcon, MediaType: "application/vnd.oma.pres-content+xml",
		Namespaces: []string{spaceIcon}, place: inHome, rules: icon, global: Users, write: Trusted,
		open: func(d *uri.URI) Audience {
			if d.Document[0] == "oma_status-icon" {
				return Everybody
			}
			return Owner
		},
	},
	{
		AUID: "org.openmobilealliance.pres-rules", Namespace: spaceCP, MediaType: "application/auth-policy+xml",
		Namespaces: []string{spaceCP, spaceRules, "urn:oma:xml:prs:pres-rules", "urn:oma:xml:xdm:common-policy"}, grammar: "pres-rules",
		place: anywhere, global: Users, write: Trusted,
	},
	{
		AUID: "org.openmobilealliance.xcap-directory", Namespace: spaceDir, MediaType: "application/vnd.oma.xcap-directory+xml",
		place: generated(false, "directory.xml"),
	},
	{
		AUID: "pidf-manipulation", Namespace: spacePIDF, MediaType: "application/pidf+xml", grammar: "pidf", place: index,
		Namespaces: []string{spacePIDF, spacePIDF + ":caps", spacePIDF + ":cipid", spacePIDF + ":data-model", spacePIDF + ":rpid", spacePIDF + ":timed-status"},
	},
	{
		AUID: "pres-rules", Namespace: spaceRules, MediaType: "application/auth-policy+xml", Namespaces: []string{spaceCP, spaceRules},
		grammar: "pres-rules", place: anywhere, global: Users, write: Trusted,
	},
	{
		AUID: "resource-lists", Namespace: spaceLists, MediaType: "application/resource-lists+xml",
		Namespaces: []string{spaceLists, "urn:ietf:params:xml:ns:copycontrol"}, grammar: "resource-lists", place: anywhere, rules: listRules,
		global: Users, write: Trusted,
	},
	{
		AUID: "rls-services", Namespace: spaceRLS, MediaType: "application/rls-services+xml", Namespaces: []string{spaceLists, spaceRLS},
		grammar: "rls-services", rules: listRules, global: Trusted,
		place: func(d *uri.URI) Place {
			if d.Global {
				return generated(true, "index")(d)
			}
			return Stored
		},
	},
	{
		AUID: "xcap-caps", Namespace: spaceCaps, MediaType: "application/xcap-caps+xml", Namespaces: []string{spaceCaps},
		place: generated(true, "index"), global: Users,
	},
}

// All returns the usages by AUID. They must not be changed.
func All() []*Usage { return slices.Clone(all) }

// For returns the usage of an AUID.
func For(auid string) (*Usage, bool) {
	i := slices.IndexFunc(all, func(u *Usage) bool { return u.AUID == auid })
	if i < 0 {
		return nil, false
	}
	return all[i], true
}

func anywhere(*uri.URI) Place { return Stored }

// inHome keeps documents out of the global tree.
func inHome(d *uri.URI) Place {
	if d.Global {
		return Nowhere
	}
	return Stored
}

// index allows one document in each home (RFC 4827 section 9).
func index(d *uri.URI) Place {
	if d.Global || len(d.Document) != 1 || d.Document[0] != "index" {
		return Nowhere
	}
	return Stored
}

// generated allows one document, in the global tree or in each home.
func generated(global bool, name string) func(*uri.URI) Place {
	return func(d *uri.URI) Place {
		if d.Global != global || len(d.Document) != 1 || d.Document[0] != name {
			return Nowhere
		}
		return Generated
	}
}
