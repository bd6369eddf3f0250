package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/agent/xcapwatch"
	"imp/internal/cli/kit"
	"imp/internal/sip/event"
	"imp/internal/xcap/uri"
)

type xcapMirrorOptions struct{ xcapFollow }

func newXCAPMirror(k *kit.Kit) *cobra.Command {
	o := &xcapMirrorOptions{xcapFollow{xcapFlags: xcapFlags{kit: k}}}
	cmd := &cobra.Command{
		Use:   "mirror [flags] DIR [TARGET…]",
		Short: "Keep a directory in step with the documents of a server",
		Long: `Write documents into files below DIR, byte for byte, and keep them in step with the
server by its notifications (RFC 5875), as imp xcap watch --patches does, until Ctrl-C,
--count, --until, --for or --timeout end it. A TARGET is a document or a collection;
without any, all your documents are mirrored.

Your own documents are files AUID/DOCUMENT, as imp xcap export writes them and imp xcap
import reads them, others AUID/users/USER/DOCUMENT and AUID/global/DOCUMENT. Characters
that a file name should not have are percent-encoded as in URLs. A file is replaced in
one step, and removed when its document is. The entity-tags are kept in
DIR/.etags.json, so that the next mirror fetches only what has changed meanwhile. What
is changed in the directory itself is not sent; the next mirror replaces it.`,
		Example: `  $ imp xcap mirror backup resource-lists/ --count 1
  … exist resource-lists/users/sip:alice@lab.test/index (…)

  $ cat backup/resource-lists/index | imp xml check --type resource-lists -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0], args[1:]) },
	}
	o.flags(cmd)
	cmd.ValidArgsFunction = nil
	k.Emits(cmd, "change", "a document is there, has changed or is gone, and so is its file", changeEvent{})
	return cmd
}

// mirror is a directory that is kept in step.
type mirror struct {
	kit  *kit.Kit
	dir  string
	root *os.Root
	self string // the user whose documents have the short names
	tags exportTags
}

func (o *xcapMirrorOptions) run(ctx context.Context, dir string, args []string) error {
	c, err := o.start(args)
	if err != nil {
		return err
	}
	for i, u := range c.uris {
		if strings.Contains(u, "/~~/") {
			return kit.Fail(kit.ExitUsage, "reading "+kit.CleanLine(args[i]), "only whole documents are mirrored", "imp xcap watch follows elements and attributes")
		}
	}
	watch, err := o.kit.Watch(ctx, o.wait)
	if err != nil {
		return err
	}
	defer watch.Stop()
	session, err := o.open(watch.Context(), c.acct, c.root)
	if err != nil {
		return err
	}
	defer session.Close()
	m, err := openMirror(o.kit, dir, c)
	if err != nil {
		return err
	}
	defer m.root.Close()
	copies := xcapwatch.New(xcapwatch.Config{Fetch: xcapFetcher{session}})
	if err := m.read(c.uris, copies); err != nil {
		return err
	}
	return o.follow(ctx, watch, c, xcapwatch.Options{Processing: xcapwatch.Aggregate, Copies: copies,
		Learned: func(_ *event.Notification, events []xcapwatch.Event) error { return m.take(events, watch) }})
}

// openMirror opens the directory and reads which documents are there.
func openMirror(k *kit.Kit, dir string, c *chosen) (*mirror, error) {
	root, err := openDir(k, dir, true)
	if err != nil {
		return nil, err
	}
	m := &mirror{kit: k, dir: dir, root: root}
	if m.self, err = c.acct.Self(); err != nil {
		root.Close()
		return nil, err
	}
	m.tags = exportTags{Root: c.root.String(), XUI: m.self, ETags: map[string]string{}, Sums: map[string]string{}}
	data, err := root.ReadFile(tagsFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		root.Close()
		return nil, kit.Fail(kit.ExitUsage, "reading "+path.Join(dir, tagsFile), err, "it must be a file of this user")
	}
	var old exportTags
	if json.Unmarshal(data, &old) == nil && old.Root == m.tags.Root && old.XUI == m.tags.XUI && old.ETags != nil {
		m.tags.ETags = old.ETags
		maps.Copy(m.tags.Sums, old.Sums)
	}
	return m, nil
}

// file is the file of a document: those of the user himself are in the directory of their usage, unless they have the name of a tree.
func (m *mirror) file(u *uri.URI) string {
	naming := uri.Naming{}
	if !u.Global && naming.Canonical(u.XUI) == naming.Canonical(m.self) && u.Document[0] != "global" && u.Document[0] != "users" {
		return fileOf(u)
	}
	return treeFile(u)
}

// document is the document of a file.
func (m *mirror) document(name string) (*uri.URI, error) {
	u, err := treeDocument(name)
	if errors.Is(err, errNoTree) {
		return documentOf(name, m.self)
	}
	return u, err
}

// read gives the copies what is in the directory of what is followed.
func (m *mirror) read(uris []string, copies *xcapwatch.Copies) error {
	for name, etag := range m.tags.ETags {
		u, err := m.document(name)
		if err != nil {
			delete(m.tags.ETags, name)
			continue
		}
		at := u.Path()
		if !slices.ContainsFunc(uris, func(s string) bool { return s == at || strings.HasSuffix(s, "/") && strings.HasPrefix(at, s) }) {
			continue
		}
		body, err := m.root.ReadFile(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			delete(m.tags.ETags, name)
		case err != nil:
			return kit.Fail(kit.ExitUsage, "reading "+path.Join(m.dir, name), err, "links out of the directory are not followed")
		case m.tags.Sums[name] != sumOf(body):
			copies.Keep(at, edited, body)
		default:
			copies.Keep(at, etag, body)
		}
	}
	return nil
}

// edited stands for the entity-tag of a file that is not as it was written, so that it is fetched anew.
const edited = "edited"

func sumOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// take brings the directory in step with what was learned, and prints it.
func (m *mirror) take(events []xcapwatch.Event, watch *kit.Watch) error {
	var done []*changeEvent
	for i := range events {
		e := &events[i]
		if e.Kind != xcapwatch.Document && e.Kind != xcapwatch.Removed {
			continue
		}
		u, err := uri.Parse(e.Path)
		if err != nil {
			return kit.Fail(kit.ExitDocument, "reading what the server tells", err, "does the server keep to RFC 5875? look with -s")
		}
		c := newChangeEvent(m.kit, e)
		if c.Content, c.File = "", m.file(u); c.Previous == edited {
			c.Previous = ""
		}
		if err := m.replace(c.File, e); err != nil {
			return err
		}
		done = append(done, c)
	}
	if len(done) > 0 {
		if err := m.tags.write(m.root, m.dir); err != nil {
			return err
		}
	}
	for _, c := range done {
		if err := m.kit.Emit(c); err != nil {
			return err
		}
		if watch.Seen(c) {
			break
		}
	}
	return nil
}

// replace writes or removes a file. What is removed leaves no empty directories.
func (m *mirror) replace(name string, e *xcapwatch.Event) error {
	const hint = "the directory must be writable and have room; links out of it are not followed"
	if e.Kind == xcapwatch.Document {
		m.tags.ETags[name], m.tags.Sums[name] = e.ETag, sumOf(e.Doc)
		if err := writeBelow(m.root, name, e.Doc); err != nil {
			return kit.Fail(kit.ExitUsage, "writing "+path.Join(m.dir, name), err, hint)
		}
		return nil
	}
	delete(m.tags.ETags, name)
	delete(m.tags.Sums, name)
	if err := m.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return kit.Fail(kit.ExitUsage, "removing "+path.Join(m.dir, name), err, hint)
	}
	for at := path.Dir(name); at != "."; at = path.Dir(at) {
		if m.root.Remove(at) != nil {
			break
		}
	}
	return nil
}
