package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/server/admin"
)

func newCtl(k *kit.Kit) *cobra.Command {
	o := &ctlOptions{kit: k}
	cmd := k.Group(&cobra.Command{
		Use:   "ctl",
		Short: "Look into a running server, and steer it",
		Long: `Ask a server that was started with --admin how it is, what is live in it, and
change its log level or send its clients elsewhere.

The server is that of --admin, else of $IMP_ADMIN, else the newest lab that runs
(see "imp lab"). One that asks for a token gets that of --admin-token FILE, else of
$IMP_ADMIN_TOKEN.`,
		Example: `  $ imp ctl health
  ok  …
  …

  $ imp ctl log-level debug
  debug`,
	},
		newCtlHealth(o), newCtlSubscriptions(o), newCtlPublications(o), newCtlRegistrations(o), newCtlSessions(o), newCtlExport(o), newCtlImport(o), newCtlLogLevel(o), newCtlDrain(o))
	for _, c := range cmd.Commands() {
		fs := c.Flags()
		fs.StringVar(&o.addr, "admin", "", "ask the server at `HOST:PORT`")
		fs.StringVar(&o.token, "admin-token", "", "show the token in `FILE`")
		c.MarkFlagFilename("admin-token")
	}
	return cmd
}

// ctlOptions say which server is asked.
type ctlOptions struct {
	kit   *kit.Kit
	addr  string
	token string // file
}

// at gives host:port of the server.
func (o *ctlOptions) at() (string, error) {
	addr := cmp.Or(o.addr, o.kit.Env("IMP_ADMIN"))
	if addr == "" {
		labs := runningLabs(o.kit)
		if len(labs) == 0 || labs[0].Admin == "" {
			return "", kit.Fail(kit.ExitUsage, "looking for a server", "none is named and no lab runs",
				"give --admin HOST:PORT or set IMP_ADMIN, and start the server with --admin HOST:PORT")
		}
		addr = labs[0].Admin
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return "", kit.Fail(kit.ExitUsage, fmt.Sprintf("reading the server's address %q", addr), "it is not HOST:PORT", "write it like 127.0.0.1:9060, as the server prints it when it is ready")
	}
	return addr, nil
}

// bearer gives the token for the server, "" without one.
func (o *ctlOptions) bearer() (string, error) {
	if o.token != "" {
		return readToken(o.kit, o.token)
	}
	return o.kit.Env("IMP_ADMIN_TOKEN"), nil
}

// maxAnswer bounds what a server may answer, in bytes: admin.MaxRows rows of 3 kB each.
const maxAnswer = 32 << 20

// ask sends one request and reads the answer into v. Statuses other than 200 are errors unless also names them.
func (o *ctlOptions) ask(ctx context.Context, doing, method, path string, body, v any, also ...int) error {
	addr, err := o.at()
	if err != nil {
		return err
	}
	token, err := o.bearer()
	if err != nil {
		return err
	}
	ctx, cancel := limited(ctx, o.kit)
	defer cancel()
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return kit.Fail(kit.ExitBug, doing, err, "")
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, content)
	if err != nil {
		return kit.Fail(kit.ExitUsage, doing, err, "the server's address is HOST:PORT, as it prints it when it is ready")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Transport: &http.Transport{}} // no proxy: the server is near
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return askFailure(doing, addr, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return askFailure(doing, addr, err)
	}
	return readAnswer(doing, res.StatusCode, data, v, also)
}

// askFailure tells why there is no answer.
func askFailure(doing, addr string, err error) error {
	var in *url.Error
	if errors.As(err, &in) {
		err = in.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return kit.Fail(kit.ExitTimeout, doing, "no answer from "+addr, "--timeout gives it more time")
	case errors.Is(err, context.Canceled):
		return kit.Fail(kit.ExitInterrupt, doing, err, "")
	case errors.Is(err, syscall.ECONNREFUSED):
		return kit.Fail(kit.ExitNetwork, doing, err, "is the server running, and was it started with --admin "+addr+"? imp lab env tells the address of a lab")
	}
	return kit.Fail(kit.ExitNetwork, doing, err, "the address is that of --admin, else of IMP_ADMIN, else of the newest lab")
}

// readAnswer reads what the server said.
func readAnswer(doing string, status int, data []byte, v any, also []int) error {
	good := status == http.StatusOK
	for _, s := range also {
		good = good || status == s
	}
	if good {
		if err := json.Unmarshal(data, v); err != nil {
			return kit.Fail(kit.ExitRefused, doing, "the answer is not that of a server of imp", "is the address that of --admin, and not that of SIP?")
		}
		return nil
	}
	var f admin.Failure
	if json.Unmarshal(data, &f) != nil || f.Error == "" {
		f.Error = http.StatusText(status)
	}
	hint := "imp ctl health tells which server it is, and its version"
	switch status {
	case http.StatusUnauthorized:
		hint = "give the file that the server has with --admin-token FILE, or its first line as IMP_ADMIN_TOKEN"
	case http.StatusForbidden:
		hint = "use the address that the server printed when it was ready"
	case http.StatusServiceUnavailable:
		hint = "the server is ending; try again when it runs"
	}
	return kit.Fail(kit.ExitRefused, doing, kit.Answer{Code: status, Reason: strings.ToLower(f.Error)}, hint)
}
