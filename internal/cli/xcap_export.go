package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/xcap/client"
	"imp/internal/xcap/uri"
	appusage "imp/internal/xcap/usage"
)

// tagsFile has the entity-tags of an export, beside its documents.
const tagsFile = ".etags.json"

// exportTags is what tagsFile has.
type exportTags struct {
	Root  string            `json:"root"`
	XUI   string            `json:"xui"`
	ETags map[string]string `json:"etags"` // by file
	// Sums are the SHA-256 of what imp xcap mirror wrote, by file.
	Sums  map[string]string `json:"sums,omitempty"`
	Types map[string]string `json:"types"` // by file: media types of documents whose application usage is not known
}

// copiedEvent tells what became of a document of an export or import.
type copiedEvent struct {
	kit.Head
	File    string `json:"file" doc:"file below DIR"`
	Path    string `json:"path" doc:"path of the document below the XCAP root"`
	Outcome string `json:"outcome" doc:"exported; imported; unchanged: they are equal already; conflict: the document on the server is another one; refused: the server does not take it"`
	ETag    string `json:"etag,omitempty" doc:"entity-tag of the document"`
	Reason  string `json:"reason,omitempty" doc:"why it was refused"`
}

// Text implements kit.Texter.
func (e copiedEvent) Text(w io.Writer, s *kit.Style) error {
	paint := s.Good
	switch e.Outcome {
	case "unchanged":
		paint = s.Dim
	case "conflict", "refused":
		paint = s.Bad
	}
	why := ""
	if e.Reason != "" {
		why = ": " + kit.CleanLine(e.Reason)
	}
	_, err := fmt.Fprintf(w, "%s  %s%s\n", paint(e.Outcome), kit.CleanLine(e.File), why)
	return err
}

type xcapExportOptions struct{ xcapFlags }

func newXCAPExport(k *kit.Kit) *cobra.Command {
	o := &xcapExportOptions{xcapFlags{kit: k}}
	cmd := &cobra.Command{
		Use:   "export [flags] DIR",
		Short: "Copy your documents from a server into files",
		Long: `Write all your documents, as imp xcap ls lists them, into files AUID/DOCUMENT below DIR,
byte for byte. Files that are there are replaced. The entity-tags are kept in DIR/.etags.json,
by which imp xcap import sees what has changed on the server since.

Characters that a file name should not have are percent-encoded as in URLs. What the
server makes itself, such as capabilities and directories, is left out.`,
		Example: `  $ imp xcap export backup
  exported  resource-lists/index

  $ cat backup/resource-lists/index | imp xml check --type resource-lists -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().StringVar(&o.xui, "xui", "", "the documents of `USER` instead of your own")
	o.accounts(cmd)
	k.Emits(cmd, "copied", "a document is copied, or is not", copiedEvent{})
	return cmd
}

func (o *xcapExportOptions) run(ctx context.Context, dir string) error {
	s, err := o.own(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	xui, err := o.home(s.acct)
	if err != nil {
		return err
	}
	all, err := s.List(ctx, xui)
	if err != nil {
		return s.failure("listing the documents of "+kit.CleanLine(xui), err)
	}
	root, err := openDir(o.kit, dir, true)
	if err != nil {
		return err
	}
	defer root.Close()
	tags := exportTags{Root: s.root.String(), XUI: xui, ETags: map[string]string{}, Types: map[string]string{}}
	for _, e := range all {
		if generated(e.URI) {
			continue
		}
		if !inHome(e.URI, xui) {
			o.kit.Warn("%s is no document of %s and is passed over", kit.CleanLine(e.URI.Path()), kit.CleanLine(xui))
			continue
		}
		a, err := s.Get(ctx, e.URI, client.Condition{})
		if client.Status(err) == 404 { // removed meanwhile
			continue
		}
		if err != nil {
			return s.failure("getting "+kit.CleanLine(e.URI.Path()), err)
		}
		name := fileOf(e.URI)
		if err := writeBelow(root, name, a.Body); err != nil {
			tags.write(root, dir) // for what is there by now
			return kit.Fail(kit.ExitUsage, "writing "+path.Join(dir, name), err, "the directory must be writable and have room; links out of it are not followed")
		}
		tags.ETags[name] = a.ETag
		if _, known := appusage.For(e.URI.AUID); !known {
			tags.Types[name] = a.Type
		}
		if err := o.kit.Emit(copiedEvent{Head: o.kit.Head("copied"), File: name, Path: e.URI.Path(), Outcome: "exported", ETag: a.ETag}); err != nil {
			return err
		}
	}
	return tags.write(root, dir)
}

// generated reports whether a server makes a document itself.
func generated(u *uri.URI) bool {
	known, ok := appusage.For(u.AUID)
	return ok && known.Place(u) != appusage.Stored
}

// inHome reports whether a document is one of a user, by any name of his: files tell no others apart.
func inHome(u *uri.URI, xui string) bool {
	_, domain, _ := strings.Cut(xui, "@")
	naming := uri.Naming{Domain: domain}
	return !u.Global && naming.Canonical(u.XUI) == naming.Canonical(xui)
}

// openDir opens a directory that nothing is read or written outside of, whatever links are in it.
func openDir(k *kit.Kit, dir string, create bool) (*os.Root, error) {
	name := k.Path(dir)
	if create {
		if err := os.MkdirAll(name, 0o700); err != nil {
			return nil, kit.Fail(kit.ExitUsage, "making "+dir, err, "it must be a directory, or one that can be made")
		}
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, kit.Fail(kit.ExitUsage, "opening "+dir, err, "it must be a directory")
	}
	return root, nil
}

// writeBelow writes a file that only the user can read, in one step.
func writeBelow(root *os.Root, name string, data []byte) error {
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	beside := path.Join(path.Dir(name), "."+path.Base(name)+".new")
	if err := root.WriteFile(beside, data, 0o600); err != nil {
		return err
	}
	return root.Rename(beside, name)
}

func (t exportTags) write(root *os.Root, dir string) error {
	data, err := json.MarshalIndent(t, "", "  ")
	if err == nil {
		err = writeBelow(root, tagsFile, append(data, '\n'))
	}
	if err != nil {
		return kit.Fail(kit.ExitUsage, "writing "+path.Join(dir, tagsFile), err, "the directory must be writable and have room")
	}
	return nil
}
