package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/xcaperror"
	"imp/internal/server/admin"
	"imp/internal/xcap/uri"
)

// ctlImports is how many documents are on their way at once, so that a durable store writes several at a time.
const ctlImports = 16

// ctlImportOptions are those of an import.
type ctlImportOptions struct {
	*ctlOptions
	force bool
}

func newCtlImport(c *ctlOptions) *cobra.Command {
	o := &ctlImportOptions{ctlOptions: c}
	cmd := &cobra.Command{
		Use:   "import DIR",
		Short: "Copy documents from files to a server",
		Long: `Make the files below DIR, as imp ctl export writes them, documents of a server: of
any user, also of one that the server does not know yet. Hidden files are passed over,
and what has no name of a document stops the import before it begins.

A document that the server does not have is made. One that is equal is left alone, and
one that differs is replaced only if it still is the one that was exported, by its
entity-tag in DIR/.etags.json. Any other is a conflict: it is told and left as it is,
and the status is 3; --force replaces it. The server checks each as if its owner had
put it; one that it refuses is told, and the status is 6. Documents change one by
one, each as a whole: those before a failure stay imported.`,
		Example: `  $ imp ctl import backup
  unchanged  pres-rules/users/sip%3aalice@lab.test/index
  …

  $ imp ctl import --force backup -o json
  {"event":"copied","time":"…","file":"pres-rules/users/sip%3aalice@lab.test/index",…}`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().BoolVar(&o.force, "force", false, "replace documents that are others than those exported")
	o.kit.Emits(cmd, "copied", "a document is copied, or is not", copiedEvent{})
	return cmd
}

// ctlFileFound is a file that is to become a document.
type ctlFileFound struct {
	name string
	uri  *uri.URI
	done chan struct{} // closed when event and err are there
	copiedEvent
	err error
}

func (o *ctlImportOptions) run(ctx context.Context, dir string) error {
	root, err := openDir(o.kit, dir, false)
	if err != nil {
		return err
	}
	defer root.Close()
	files, err := o.find(root, dir)
	if err != nil {
		return err
	}
	door, err := o.door()
	if err != nil {
		return err
	}
	defer door.close()
	tags := readTags(root, "", "")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := make(chan *ctlFileFound, len(files))
	for _, f := range files {
		next <- f
	}
	close(next)
	for range min(ctlImports, len(files)) {
		go func() {
			for f := range next {
				if f.err = ctx.Err(); f.err == nil {
					f.err = o.copy(ctx, door, root, dir, f, tags.ETags[f.name])
				}
				close(f.done)
			}
		}()
	}
	return o.report(root, dir, files, tags)
}

// report tells what becomes of the files in their order.
func (o *ctlImportOptions) report(root *os.Root, dir string, files []*ctlFileFound, tags exportTags) error {
	fresh := exportTags{ETags: map[string]string{}}
	for name, tag := range tags.ETags {
		fresh.ETags[name] = tag
	}
	outcomes := map[string]int{}
	var failed error
	for _, f := range files {
		<-f.done
		if failed != nil {
			continue
		}
		if failed = f.err; failed != nil {
			continue
		}
		outcomes[f.Outcome]++
		if f.ETag != "" {
			fresh.ETags[f.name] = f.ETag
		}
		failed = o.kit.Emit(f.copiedEvent)
	}
	if err := fresh.write(root, dir); failed == nil {
		failed = err
	}
	switch {
	case failed != nil:
		return failed
	case outcomes["refused"] > 0:
		return kit.Fail(kit.ExitDocument, "importing "+dir, fmt.Sprintf("documents that the server refused: %d", outcomes["refused"]), "imp xml check tells what is wrong with a document")
	case outcomes["conflict"] > 0:
		return kit.Fail(kit.ExitRefused, "importing "+dir, fmt.Sprintf("documents that have changed on the server: %d", outcomes["conflict"]), "export into another directory and compare with imp xml diff -u, or --force replaces them")
	}
	return nil
}

// find lists the files of documents below a directory.
func (o *ctlImportOptions) find(root *os.Root, dir string) (all []*ctlFileFound, err error) {
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		shown := path.Join(dir, name)
		switch {
		case err != nil:
			return kit.Fail(kit.ExitUsage, "reading "+shown, err, "")
		case name != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			o.kit.Warn("%s is no plain file and is passed over", shown)
			return nil
		}
		u, err := treeDocument(name)
		if err != nil {
			return kit.Fail(kit.ExitUsage, "reading "+shown, err, "files are named as imp ctl export names them")
		}
		f := &ctlFileFound{name: name, uri: u, done: make(chan struct{})}
		f.copiedEvent = copiedEvent{Head: o.kit.Head("copied"), File: name, Path: u.Path()}
		all = append(all, f)
		return nil
	})
	return all, err
}

// copy makes a file a document, on conditions.
func (o *ctlImportOptions) copy(ctx context.Context, door *ctlDoor, root *os.Root, dir string, f *ctlFileFound, exported string) error {
	doing := "importing " + path.Join(dir, f.name)
	body, err := readDocument(root, f.name)
	if err != nil {
		return kit.Fail(kit.ExitUsage, doing, err, "")
	}
	now, data, err := door.document(ctx, o.ctlOptions, doing, http.MethodGet, f.uri, nil, nil)
	if err != nil {
		return err
	}
	fields := http.Header{}
	switch tag := now.Header.Get("ETag"); {
	case now.StatusCode == http.StatusNotFound && now.Header.Get("Content-Type") == "application/json":
		return readAnswer(doing, now.StatusCode, data, nil, nil)
	case now.StatusCode == http.StatusNotFound:
		fields.Set("If-None-Match", "*")
	case now.StatusCode != http.StatusOK:
		return readAnswer(doing, now.StatusCode, data, nil, nil)
	case bytes.Equal(data, body):
		f.Outcome, f.ETag = "unchanged", strings.Trim(tag, `"`)
		return nil
	case o.force:
	case exported == "" || tag != `"`+exported+`"`:
		f.Outcome = "conflict"
		return nil
	default:
		fields.Set("If-Match", tag)
	}
	res, data, err := door.document(ctx, o.ctlOptions, doing, http.MethodPut, f.uri, body, fields)
	if err != nil {
		return err
	}
	return f.took(doing, res, data)
}

// took reads the answer to a document.
func (f *ctlFileFound) took(doing string, res *http.Response, data []byte) error {
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated:
		f.Outcome, f.ETag = "imported", strings.Trim(res.Header.Get("ETag"), `"`)
		return nil
	case http.StatusPreconditionFailed:
		f.Outcome = "conflict"
		return nil
	case http.StatusConflict, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong:
		f.Outcome, f.Reason = "refused", strings.TrimSpace(string(data))
		if r, err := xcaperror.Parse(data); err == nil {
			f.Reason = r.Error()
		}
		return nil
	}
	return readAnswer(doing, res.StatusCode, data, nil, nil)
}

// readDocument reads a file that may become a document.
func readDocument(root *os.Root, name string) ([]byte, error) {
	info, err := root.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no plain file")
	case info.Size() > admin.MaxDocument:
		return nil, errors.New("it is larger than documents may be")
	}
	return root.ReadFile(name)
}
