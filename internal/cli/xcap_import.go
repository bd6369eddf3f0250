package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/xcap/client"
	appusage "imp/internal/xcap/usage"
)

type xcapImportOptions struct {
	xcapFlags
	force   bool
	noCheck bool
}

func newXCAPImport(k *kit.Kit) *cobra.Command {
	o := &xcapImportOptions{xcapFlags: xcapFlags{kit: k}}
	cmd := &cobra.Command{
		Use:   "import [flags] DIR",
		Short: "Copy your documents from files to a server",
		Long: `Write the files AUID/DOCUMENT below DIR, as imp xcap export makes them, as your
documents. All are checked before the first is sent; hidden files are passed over.

A document that the server does not have is made. One that is equal is left alone, and
one that differs is replaced only if it still is the one that was exported, by its
entity-tag in DIR/.etags.json. Any other is a conflict: it is told and left as it is, and
the status is 3. --force replaces it.`,
		Example: `  $ imp xcap import backup
  unchanged  resource-lists/index

  $ imp xcap import --force backup -o json
  {"event":"copied",…"outcome":"unchanged",…}`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().StringVar(&o.xui, "xui", "", "the documents of `USER` instead of your own")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace documents that are others than those exported")
	cmd.Flags().BoolVar(&o.noCheck, "no-check", false, "send what cannot be valid all the same")
	o.accounts(cmd)
	k.Emits(cmd, "copied", "a document is copied, or is not", copiedEvent{})
	return cmd
}

// incoming is a file that is to become a document.
type incoming struct {
	name   string
	target *xcapTarget
	body   []byte
	kind   string
}

func (o *xcapImportOptions) run(ctx context.Context, dir string) error {
	s, err := o.own(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	xui, err := o.home(s.acct)
	if err != nil {
		return err
	}
	root, err := openDir(o.kit, dir, false)
	if err != nil {
		return err
	}
	defer root.Close()
	tags := readTags(root, s.root.String(), xui)
	files, err := o.read(s, root, dir, tags)
	if err != nil {
		return err
	}
	conflicts := 0
	for _, f := range files {
		e, err := o.copy(ctx, f, tags.ETags[f.name])
		if err != nil {
			return err
		}
		if e.Outcome == "conflict" {
			conflicts++
		} else {
			tags.ETags[f.name] = e.ETag
		}
		if err := o.kit.Emit(e); err != nil {
			return err
		}
	}
	if err := tags.write(root, dir); err != nil {
		return err
	}
	if conflicts > 0 {
		return kit.Fail(kit.ExitRefused, "importing "+dir, fmt.Sprintf("documents that have changed on the server: %d", conflicts), "export into another directory and compare with imp xml diff -u, or --force replaces them")
	}
	return nil
}

// read reads and checks all files before anything is sent.
func (o *xcapImportOptions) read(s *xcapSession, root *os.Root, dir string, tags exportTags) (all []incoming, err error) {
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return kit.Fail(kit.ExitUsage, "reading "+path.Join(dir, name), err, "")
		case name != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			o.kit.Warn("%s is no plain file and is passed over", path.Join(dir, name))
			return nil
		}
		f, err := o.file(s, root, dir, name, tags)
		if err == nil {
			all = append(all, f)
		}
		return err
	})
	return all, err
}

func (o *xcapImportOptions) file(s *xcapSession, root *os.Root, dir, name string, tags exportTags) (incoming, error) {
	shown := path.Join(dir, name)
	u, err := documentOf(name, tags.XUI)
	if err != nil {
		return incoming{}, kit.Fail(kit.ExitUsage, "reading "+shown, err, "files are AUID/DOCUMENT, as imp xcap export makes them")
	}
	body, err := root.ReadFile(name)
	if err != nil {
		return incoming{}, kit.Fail(kit.ExitUsage, "reading "+shown, err, "")
	}
	t := &xcapTarget{xcapSession: s, uri: u, text: u.Path()}
	t.usage, _ = appusage.For(u.AUID)
	kind := tags.Types[name]
	if t.usage != nil {
		kind = t.usage.MediaType
	}
	if kind == "" {
		return incoming{}, kit.Fail(kit.ExitUsage, "reading "+shown, "the type of documents of "+u.AUID+" is not known", "the directories below DIR are named like application usages; imp xcap put --type TYPE puts documents of one that imp does not know")
	}
	if !o.noCheck {
		if err := t.checkDocument(body); err != nil {
			return incoming{}, t.refusedBody(shown, err)
		}
	}
	return incoming{name: name, target: t, body: body, kind: kind}, nil
}

// copy makes a file a document, on conditions.
func (o *xcapImportOptions) copy(ctx context.Context, f incoming, exported string) (copiedEvent, error) {
	t := f.target
	e := copiedEvent{Head: o.kit.Head("copied"), File: f.name, Path: t.uri.Path(), Outcome: "imported"}
	now, err := t.Get(ctx, t.uri, client.Condition{})
	cond := client.Create
	switch {
	case client.Status(err) == 404:
	case err != nil:
		return e, t.failure("getting "+t.short(), err)
	case bytes.Equal(now.Body, f.body):
		e.Outcome, e.ETag = "unchanged", now.ETag
		return e, nil
	case o.force:
		cond = client.Condition{}
	case exported == "" || exported != now.ETag:
		e.Outcome = "conflict"
		return e, nil
	default:
		cond = client.Condition{Match: exported}
	}
	a, err := t.Put(ctx, t.uri, f.kind, f.body, cond)
	if client.Status(err) == 412 {
		e.Outcome = "conflict"
		return e, nil
	}
	if err != nil {
		return e, t.failure("putting "+t.short(), err)
	}
	e.ETag = a.ETag
	return e, nil
}

// readTags reads what an export has noted. The entity-tags of another server or user tell nothing.
func readTags(root *os.Root, server, xui string) exportTags {
	t := exportTags{Root: server, XUI: xui, ETags: map[string]string{}, Types: map[string]string{}}
	data, err := root.ReadFile(tagsFile)
	var read exportTags
	if err != nil || json.Unmarshal(data, &read) != nil {
		return t
	}
	if read.Types != nil {
		t.Types = read.Types
	}
	if read.Root == server && read.XUI == xui && read.ETags != nil {
		t.ETags = read.ETags
	}
	return t
}
