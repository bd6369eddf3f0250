package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/server/admin"
	"imp/internal/xcap/uri"
)

func newCtlExport(o *ctlOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export DIR",
		Short: "Copy all documents of a server into files",
		Long: `Write all XCAP documents of a server into files AUID/users/XUI/DOCUMENT and
AUID/global/DOCUMENT below DIR, byte for byte. Files that are there are replaced,
others stay. The entity-tags are kept in DIR/.etags.json, by which imp ctl import
sees what has changed on the server since. Each document is as it was at a moment of
the export. What the server makes itself, such as capabilities, is left out.

Small letters and digits stand as they are in the names of files; most other
characters are percent-encoded, capital letters too, since some systems know no
difference: sip:Joe@example.com is sip%3a%4aoe@example.com. A name that is too long
goes on below a directory that ends in %.`,
		Example: `  $ imp ctl export backup
  exported  pres-rules/users/sip%3aalice@lab.test/index
  …

  $ imp ctl export backup -o json
  {"event":"copied","time":"…","file":"pres-rules/users/sip%3aalice@lab.test/index",…}`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.export(cmd.Context(), args[0]) },
	}
	o.kit.Emits(cmd, "copied", "a document is copied, or is not", copiedEvent{})
	return cmd
}

func (o *ctlOptions) export(ctx context.Context, dir string) error {
	doing := "exporting into " + dir
	door, err := o.door()
	if err != nil {
		return err
	}
	defer door.close()
	ctx, cancel := limited(ctx, o.kit)
	defer cancel()
	res, err := door.do(ctx, doing, http.MethodGet, "/documents", nil, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return door.refusal(doing, res)
	}
	root, err := openDir(o.kit, dir, true)
	if err != nil {
		return err
	}
	defer root.Close()
	tags := exportTags{ETags: map[string]string{}}
	lines := json.NewDecoder(res.Body)
	for count := 0; ; count++ {
		var line admin.ExportLine
		if err := lines.Decode(&line); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return kit.Fail(kit.ExitNetwork, doing, "the connection ended early", "what is written so far is whole documents; try again")
			}
			return askFailure(doing, door.addr, err)
		}
		switch {
		case line.Error != "":
			return kit.Fail(kit.ExitRefused, doing, line.Error, "what is written so far is whole documents; the log of the server tells more")
		case line.End && line.Count != count:
			return kit.Fail(kit.ExitRefused, doing, fmt.Sprintf("%d documents came of %d", count, line.Count), "try again")
		case line.End:
			return tags.write(root, dir)
		case line.Document == nil:
			continue
		}
		u, err := uri.Parse(line.Path)
		if err != nil {
			return kit.Fail(kit.ExitRefused, doing, err, "is the address that of --admin, and not that of SIP?")
		}
		name := treeFile(u)
		if err := writeBelow(root, name, line.Body); err != nil {
			return kit.Fail(kit.ExitUsage, "writing "+path.Join(dir, name), err, "the directory must be writable and have room; links out of it are not followed")
		}
		tags.ETags[name] = line.ETag
		if err := o.kit.Emit(copiedEvent{Head: o.kit.Head("copied"), File: name, Path: line.Path, Outcome: "exported", ETag: line.ETag}); err != nil {
			return err
		}
	}
}

// ctlDoor is the admin interface of a server, for more than one request.
type ctlDoor struct {
	addr, token string
	http        *http.Client
}

func (o *ctlOptions) door() (*ctlDoor, error) {
	addr, err := o.at()
	if err != nil {
		return nil, err
	}
	token, err := o.bearer()
	if err != nil {
		return nil, err
	}
	return &ctlDoor{addr, token, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: ctlImports}}}, nil
}

func (d *ctlDoor) close() { d.http.CloseIdleConnections() }

// do sends a request. The body of the answer is to be closed.
func (d *ctlDoor) do(ctx context.Context, doing, method, target string, body []byte, fields http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+d.addr+target, bytes.NewReader(body))
	if err != nil {
		return nil, kit.Fail(kit.ExitUsage, doing, err, "the server's address is HOST:PORT, as it prints it when it is ready")
	}
	for name, values := range fields {
		req.Header[name] = values
	}
	if d.token != "" {
		req.Header.Set("Authorization", "Bearer "+d.token)
	}
	res, err := d.http.Do(req)
	if err != nil {
		return nil, askFailure(doing, d.addr, err)
	}
	return res, nil
}

// refusal tells why an answer is not what was wanted.
func (d *ctlDoor) refusal(doing string, res *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return askFailure(doing, d.addr, err)
	}
	return readAnswer(doing, res.StatusCode, data, nil, nil)
}

// document sends a request for a document and reads the answer.
func (d *ctlDoor) document(ctx context.Context, o *ctlOptions, doing, method string, u *uri.URI, body []byte, fields http.Header) (*http.Response, []byte, error) {
	ctx, cancel := limited(ctx, o.kit)
	defer cancel()
	res, err := d.do(ctx, doing, method, "/document?path="+url.QueryEscape(u.Path()), body, fields)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, admin.MaxDocument+1))
	if err != nil {
		return nil, nil, askFailure(doing, d.addr, err)
	}
	return res, data, nil
}
