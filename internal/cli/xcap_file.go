package cli

import (
	"errors"

	"imp/internal/xcap/uri"
)

// fileOf is the file of a user's document: AUID/DOCUMENT.
func fileOf(u *uri.URI) string { return uri.FilePath(append([]string{u.AUID}, u.Document...)...) }

// documentOf is the document of such a file.
func documentOf(name, xui string) (*uri.URI, error) {
	names, err := uri.ParseFilePath(name)
	if err != nil {
		return nil, err
	}
	if len(names) < 2 {
		return nil, errors.New("it is not in the directory of an application usage")
	}
	return documentNamed(&uri.URI{AUID: names[0], XUI: xui, Document: names[1:]})
}

// treeFile is the file of a document of any user: AUID/users/XUI/DOCUMENT or AUID/global/DOCUMENT.
func treeFile(u *uri.URI) string {
	names := []string{u.AUID, "global"}
	if !u.Global {
		names = []string{u.AUID, "users", u.XUI}
	}
	return uri.FilePath(append(names, u.Document...)...)
}

// errNoTree is the error of a file that is in the directory of no tree.
var errNoTree = errors.New("it is neither AUID/users/XUI/DOCUMENT nor AUID/global/DOCUMENT")

// treeDocument is the document of such a file.
func treeDocument(name string) (*uri.URI, error) {
	names, err := uri.ParseFilePath(name)
	switch {
	case err != nil:
		return nil, err
	case len(names) > 3 && names[1] == "users":
		return documentNamed(&uri.URI{AUID: names[0], XUI: names[2], Document: names[3:]})
	case len(names) > 2 && names[1] == "global":
		return documentNamed(&uri.URI{AUID: names[0], Global: true, Document: names[2:]})
	}
	return nil, errNoTree
}

// documentNamed is a URI that was put together of names, which may be such as no document can have.
func documentNamed(u *uri.URI) (*uri.URI, error) {
	again, err := uri.Parse(u.Path())
	if err == nil && len(again.Steps) > 0 {
		err = errors.New("it has the name ~~, which no document can have")
	}
	return u, err
}
