package cli

import (
	"strconv"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/server/admin"
)

type ctlSessionEvent struct {
	kit.Head
	ID        string   `json:"id" doc:"a number, not that of the URI, which is a secret"`
	User      string   `json:"user" doc:"who authenticated"`
	Client    string   `json:"client" doc:"host:port of the next hop towards the client"`
	Relay     string   `json:"relay,omitempty" doc:"the relay that the client came through"`
	Transport string   `json:"transport" doc:"of the client's connection"`
	Remote    string   `json:"remote" doc:"host:port that it came from"`
	Sends     uint64   `json:"sends" doc:"chunks forwarded"`
	BytesOut  uint64   `json:"bytes_out" doc:"of bodies that the client sent"`
	BytesIn   uint64   `json:"bytes_in" doc:"of bodies that were sent to the client"`
	Reports   uint64   `json:"reports" doc:"REPORTs forwarded"`
	Failures  uint64   `json:"failures" doc:"chunks that failed"`
	Expires   kit.Time `json:"expires_at" doc:"when it ends"`
}

func newCtlSessions(o *ctlOptions) *cobra.Command {
	cmd := ctlList(o, "sessions [USER]", "List the live sessions of an MSRP relay", `  $ imp ctl sessions
  USER … CLIENT … VIA … SENDS  OUT  IN  FAILED  LEFT
  alice  …

  $ imp ctl sessions alice@example.com -o json
  {"event":"session","time":"…","id":"…","user":"alice",…}`,
		[]string{"USER", "CLIENT", "VIA", "SENDS", "OUT", "IN", "FAILED", "LEFT"}, func(k *kit.Kit, r admin.Session) (kit.Value, []string) {
			via := r.Transport + ":" + r.Remote
			if r.Relay != "" {
				via = r.Relay
			}
			user := r.User
			if user == "" {
				user = "-"
			}
			number := func(n uint64) string { return strconv.FormatUint(n, 10) }
			return ctlSessionEvent{k.Head("session"), r.ID, r.User, r.Client, r.Relay, r.Transport, r.Remote, r.Sends, r.BytesOut, r.BytesIn, r.Reports, r.Failures, kit.Time(r.Expires)},
				[]string{user, r.Client, via, number(r.Sends), number(r.BytesOut), number(r.BytesIn), number(r.Failures), remaining(k, r.Expires)}
		})
	o.kit.Emits(cmd, "session", "a live session of an MSRP relay", ctlSessionEvent{})
	return cmd
}
