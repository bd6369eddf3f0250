package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/server/admin"
)

// ctlListOptions are what a list is asked for.
type ctlListOptions struct {
	*ctlOptions
	limit int
}

// ctlList makes a command that lists rows. convert makes a row's event and its line in the table.
func ctlList[T any](c *ctlOptions, use, short, example string, header []string, convert func(k *kit.Kit, row T) (kit.Value, []string)) *cobra.Command {
	o := &ctlListOptions{ctlOptions: c}
	what := strings.Fields(use)[0]
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Long: short + `, of all resources or of one: a user of the
account's domain or a URI. They come in no order that means anything, as they are
at that moment; many come in pages, so what changes meanwhile may be missing.`,
		Example: example,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.limit < 0 {
				return kit.Fail(kit.ExitUsage, "reading --limit", fmt.Sprintf("%d is negative", o.limit), "0 lists all")
			}
			resource := ""
			if len(args) > 0 {
				acct, err := o.kit.Account()
				if err != nil {
					return err
				}
				if resource, err = acct.Target(args[0]); err != nil {
					return err
				}
			}
			return listRows(cmd.Context(), o, what, resource, header, convert)
		},
	}
	cmd.Flags().IntVar(&o.limit, "limit", 0, "list `N` at most; 0: all")
	return cmd
}

// listRows asks for page after page. Columns are as wide as those of the page need.
func listRows[T any](ctx context.Context, o *ctlListOptions, what, resource string, header []string, convert func(*kit.Kit, T) (kit.Value, []string)) error {
	left := o.limit
	for after := ""; ; {
		size := admin.MaxRows
		if o.limit > 0 {
			size = min(size, left)
		}
		q := url.Values{"limit": {strconv.Itoa(size)}}
		if resource != "" {
			q.Set("resource", resource)
		}
		if after != "" {
			q.Set("after", after)
		}
		var page admin.Page[T]
		if err := o.ask(ctx, "listing "+what, http.MethodGet, "/"+what+"?"+q.Encode(), nil, &page); err != nil {
			return err
		}
		if err := printRows(o.kit, page.Rows, header, convert); err != nil {
			return err
		}
		left -= len(page.Rows)
		header, after = nil, page.Next
		if after == "" || o.limit > 0 && left <= 0 {
			return nil
		}
	}
}

func printRows[T any](k *kit.Kit, rows []T, header []string, convert func(*kit.Kit, T) (kit.Value, []string)) error {
	var table [][]string
	for _, r := range rows {
		event, line := convert(k, r)
		if k.Output != kit.OutputText {
			if err := k.Emit(event); err != nil {
				return err
			}
			continue
		}
		for i := range line {
			line[i] = kit.CleanLine(line[i])
		}
		table = append(table, line)
	}
	var b strings.Builder
	if err := k.Style().Table(&b, header, table); err != nil {
		return err
	}
	return k.Print([]byte(b.String()))
}

// remaining is the time until t in whole seconds.
func remaining(k *kit.Kit, t time.Time) string {
	now := time.Now()
	if k.Now != nil {
		now = k.Now()
	}
	return max(t.Sub(now), 0).Round(time.Second).String()
}

type ctlSubscriptionEvent struct {
	kit.Head
	ID       string   `json:"id" doc:"local tag of its dialog"`
	Package  string   `json:"package" doc:"event package"`
	Resource string   `json:"resource" doc:"what is watched"`
	Watcher  string   `json:"watcher" doc:"who watches"`
	State    string   `json:"state" doc:"active, pending or terminated"`
	Reason   string   `json:"reason,omitempty" doc:"of a terminated one"`
	Expires  kit.Time `json:"expires_at" doc:"when it ends unless it is refreshed"`
}

func newCtlSubscriptions(o *ctlOptions) *cobra.Command {
	cmd := ctlList(o, "subscriptions [RESOURCE]", "List the live subscriptions", `  $ imp ctl subscriptions
  RESOURCE            EVENT     WATCHER           STATE   LEFT
  sip:alice@lab.test  presence  sip:bob@lab.test  active  …

  $ imp ctl subscriptions alice -o json
  {"event":"subscription","time":"…","id":"…","package":"presence","resource":"sip:alice@lab.test",…}`,
		[]string{"RESOURCE", "EVENT", "WATCHER", "STATE", "LEFT"}, func(k *kit.Kit, r admin.Subscription) (kit.Value, []string) {
			return ctlSubscriptionEvent{k.Head("subscription"), r.ID, r.Package, r.Resource, r.Watcher, r.State, r.Reason, kit.Time(r.Expires)},
				[]string{r.Resource, r.Package, r.Watcher, r.State, remaining(k, r.Expires)}
		})
	o.kit.Emits(cmd, "subscription", "a live subscription of a server", ctlSubscriptionEvent{})
	return cmd
}

type ctlPublicationEvent struct {
	kit.Head
	ETag      string   `json:"etag" doc:"its entity-tag at this moment"`
	Package   string   `json:"package" doc:"event package"`
	Resource  string   `json:"resource" doc:"whose state it is"`
	BodyType  string   `json:"body_type" doc:"media type of what is published"`
	Size      int      `json:"size" doc:"of what is published, in bytes"`
	Published kit.Time `json:"published" doc:"when the state was last published"`
	Expires   kit.Time `json:"expires_at" doc:"when it ends unless it is refreshed"`
}

func newCtlPublications(o *ctlOptions) *cobra.Command {
	cmd := ctlList(o, "publications [RESOURCE]", "List the live publications", `  $ imp ctl publications
  RESOURCE            EVENT     ETAG                TYPE                  SIZE  LEFT
  sip:alice@lab.test  presence  …-0  application/pidf+xml  …

  $ imp ctl publications alice -o json
  {"event":"publication","time":"…","etag":"…","package":"presence","resource":"sip:alice@lab.test",…}`,
		[]string{"RESOURCE", "EVENT", "ETAG", "TYPE", "SIZE", "LEFT"}, func(k *kit.Kit, r admin.Publication) (kit.Value, []string) {
			return ctlPublicationEvent{k.Head("publication"), r.ETag, r.Package, r.Resource, r.BodyType, r.Size, kit.Time(r.Published), kit.Time(r.Expires)},
				[]string{r.Resource, r.Package, r.ETag, r.BodyType, strconv.Itoa(r.Size), remaining(k, r.Expires)}
		})
	o.kit.Emits(cmd, "publication", "a live publication of a server", ctlPublicationEvent{})
	return cmd
}

type ctlRegistrationEvent struct {
	kit.Head
	AOR       string   `json:"aor" doc:"address of record"`
	Contact   string   `json:"contact" doc:"where it can be reached"`
	Instance  string   `json:"instance,omitempty" doc:"the device, +sip.instance"`
	RegID     int      `json:"reg_id,omitempty" doc:"the flow of the device"`
	Q         float64  `json:"q" doc:"preference among the contacts"`
	UserAgent string   `json:"user_agent,omitempty" doc:"what the device says it is"`
	Received  string   `json:"received,omitempty" doc:"where it came from, transport:host:port"`
	Expires   kit.Time `json:"expires_at" doc:"when it ends unless it is refreshed"`
}

func newCtlRegistrations(o *ctlOptions) *cobra.Command {
	cmd := ctlList(o, "registrations [AOR]", "List the live registrations", `  $ imp ctl registrations
  AOR               CONTACT… FROM… Q  LEFT
  sip:bob@lab.test  sip:bob@…

  $ imp ctl registrations bob -o json
  {"event":"registration","time":"…","aor":"sip:bob@lab.test","contact":"sip:bob@…",…}`,
		[]string{"AOR", "CONTACT", "FROM", "Q", "LEFT"}, func(k *kit.Kit, r admin.Registration) (kit.Value, []string) {
			from := r.Received
			if from == "" {
				from = "-"
			}
			return ctlRegistrationEvent{k.Head("registration"), r.AOR, r.Contact, r.Instance, r.RegID, r.Q, r.UserAgent, r.Received, kit.Time(r.Expires)},
				[]string{r.AOR, r.Contact, from, strconv.FormatFloat(r.Q, 'g', 3, 64), remaining(k, r.Expires)}
		})
	o.kit.Emits(cmd, "registration", "a live registration of a server", ctlRegistrationEvent{})
	return cmd
}
