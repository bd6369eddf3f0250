package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"imp/internal/agent/presence"
	"imp/internal/cli/kit"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
)

// publication is one publication of an account while a command works on it:
// what is kept of it between commands, and the publisher that changes it.
type publication struct {
	*publishOptions

	target string
	event  header.Event
	key    string // in the state; "" keeps nothing
	saved  savedPublication
	unlock func()
	update string // what was sent with --partial
	agent  *presence.Agent
	*event.Publisher
}

// savedPublication is what the next command needs to know.
type savedPublication struct {
	ETag    string    `json:"etag"`
	Expires time.Time `json:"expires"`
	// TupleID stays the same for the life of the publication (RFC 3903 section
	// 10.4).
	TupleID string `json:"tuple_id"`
	// Document is what --partial has published, that the next one tells the changes
	// of.
	Document string `json:"document,omitempty"`
}

// open reads what is kept of the publication, keeping other commands out of
// it, and makes its publisher.
func (o *publishOptions) open(ctx context.Context, acct *kit.Account, target string, ev header.Event) (*publication, error) {
	p := &publication{publishOptions: o, target: target, event: ev, unlock: func() {}}
	self, err := acct.Self()
	if err != nil {
		return nil, err
	}
	if !o.another && (o.modify == "" || p.ours(self)) {
		p.key = p.stateKey(self)
		if err := p.load(ctx); err != nil {
			return nil, err
		}
	}
	if p.saved.TupleID == "" {
		p.saved.TupleID = "t" + strings.ToLower(rand.Text()[:8])
	}
	// Whether it has expired the server knows better than our clock.
	tag := cmp.Or(o.modify, p.saved.ETag)
	if p.agent, err = startAgent(ctx, o.kit, acct); err != nil {
		p.close()
		return nil, err
	}
	p.Publisher, err = p.agent.Publisher(presence.PublishOptions{Presentity: target, Event: ev, Expires: o.expires.Std(), Tag: tag})
	if err != nil {
		p.close()
		return nil, kit.Fail(kit.ExitUsage, "publishing for "+target, err, "a target is a SIP URI such as sip:alice@example.com, an event package a word such as presence")
	}
	return p, nil
}

// load reads the state under its lock.
func (p *publication) load(ctx context.Context) error {
	ctx, cancel := limited(ctx, p.kit)
	defer cancel()
	unlock, err := p.kit.State().Lock(ctx, p.key)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return kit.Fail(kit.ExitTimeout, "publishing for "+p.target, "another imp publish holds the publication "+p.name,
			"one with --refresh or -- COMMAND holds it until it ends; publish under another --name meanwhile")
	case err != nil:
		return err
	}
	p.unlock = unlock
	if _, err := p.kit.State().Get(p.key, &p.saved); err != nil {
		unlock()
		return err
	}
	return nil
}

// limited is ctx with the time of --timeout; 0 is no limit.
func limited(ctx context.Context, k *kit.Kit) (context.Context, context.CancelFunc) {
	if k.Timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, k.Timeout.Std())
}

func (p *publication) close() {
	if p.agent != nil {
		p.agent.Close()
	}
	p.unlock()
}

// publish sends the document once.
func (p *publication) publish(ctx context.Context, d document) error {
	ctx, cancel := limited(ctx, p.kit)
	defer cancel()
	publish := p.send
	if p.partial {
		publish = p.publishPartial
	}
	got, err := publish(ctx, event.Doc{Type: d.mediaType, Body: d.body})
	var refused *event.ResponseError
	if errors.As(err, &refused) && refused.Status == 412 && p.modify != "" {
		return kit.Fail(kit.ExitRefused, "publishing for "+p.target, answerOf(refused),
			"the server has no publication with the entity-tag "+p.modify+"; without --modify a new one is made")
	}
	if err != nil {
		return p.failure("publishing", err)
	}
	if p.saved.Document = ""; p.partial {
		p.saved.Document = string(d.body)
	}
	if asked := p.expires.Std(); asked > 0 && got.Expires > asked {
		p.kit.Note("the server grants no less than %v", got.Expires)
	}
	err = p.accepted(got)
	p.update = ""
	return err
}

// ours tells whether the entity-tag of --modify is that of the publication
// under our name, whose document may be made anew.
func (p *publication) ours(self string) bool {
	var saved savedPublication
	known, err := p.kit.State().Get(p.stateKey(self), &saved)
	return err == nil && known && saved.ETag == p.modify
}

// stateKey is where a publication of self is kept.
func (p *publication) stateKey(self string) string {
	return strings.Join([]string{"publish", self, p.target, p.event.Package, p.name}, "/")
}

// accepted keeps and prints what the server granted.
func (p *publication) accepted(got event.Published) error {
	if err := p.keepTag(got); err != nil {
		return err
	}
	return p.kit.Emit(publishEvent{Head: p.kit.Head("publish"), Resource: p.target, Package: p.event.Package,
		ETag: got.Tag, Expires: wholeSeconds(got.Expires), Update: p.update})
}

// keepTag keeps the entity-tag for the next command.
func (p *publication) keepTag(got event.Published) error {
	if p.key == "" {
		return nil
	}
	p.saved.ETag, p.saved.Expires = got.Tag, time.Now().Add(got.Expires)
	return p.kit.State().Put(p.key, p.saved)
}

// remove takes the publication back. That there is none is a negative answer.
func (p *publication) remove(ctx context.Context) error {
	doing := "removing the publication for " + p.target
	if p.Tag() == "" {
		return kit.Fail(kit.ExitNo, doing, "nothing is published under the name "+p.name, "another --name, or --modify ETAG --remove")
	}
	ctx, cancel := limited(ctx, p.kit)
	defer cancel()
	err := p.Remove(ctx)
	var refused *event.ResponseError
	if errors.As(err, &refused) && refused.Status == 412 && p.modify != "" {
		p.forget()
		return kit.Fail(kit.ExitNo, doing, "the server has no such publication any more", "there is nothing left to remove")
	}
	if err != nil {
		return p.failure("removing the publication", err)
	}
	if err := p.forget(); err != nil {
		return err
	}
	return p.kit.Emit(publishEvent{Head: p.kit.Head("publish"), Resource: p.target, Package: p.event.Package})
}

func (p *publication) forget() error {
	if p.key == "" {
		return nil
	}
	return p.kit.State().Delete(p.key)
}

// stay publishes and renews until ctx is done, then takes the publication back.
func (p *publication) stay(ctx context.Context, d document) error {
	if err := p.publish(ctx, d); err != nil {
		return err
	}
	staying, cancel := lasting(ctx, p.period)
	defer cancel()
	return errors.Join(p.renew(staying), p.leave(ctx))
}

// renew keeps the publication alive until ctx is done.
func (p *publication) renew(ctx context.Context) error {
	err := p.Run(ctx, func(got event.Published, err error) {
		if err != nil {
			p.kit.Warn("refreshing the publication for %s: %v", p.target, err)
			return
		}
		p.accepted(got)
	})
	if err != nil {
		return p.failure("refreshing the publication", err)
	}
	return nil
}

// leave takes the publication back unless it is to be kept.
func (p *publication) leave(ctx context.Context) error {
	if p.keep || p.Tag() == "" {
		return nil
	}
	ctx, cancel := kit.Cleanup(ctx)
	defer cancel()
	if err := p.Remove(ctx); err != nil {
		return p.failure("removing the publication", err)
	}
	return p.forget()
}

// during holds the publication while a command runs, and gives its status.
func (p *publication) during(ctx context.Context, d document, command []string) error {
	if err := p.publish(ctx, d); err != nil {
		return err
	}
	renewing, stop := context.WithCancel(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		if err := p.renew(renewing); err != nil {
			p.kit.Warn("%v", err)
		}
	}()
	status := runHeld(ctx, p.kit, command)
	stop()
	<-renewed
	if err := p.leave(ctx); err != nil {
		p.kit.Warn("%v", err)
	}
	return status
}

// runHeld runs a command with our streams and gives its status as an error. A
// signal to us is passed on.
func runHeld(ctx context.Context, k *kit.Kit, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = k.In, k.Out, k.Err
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = drainTime
	if err := cmd.Start(); err != nil {
		return notRunnable(command[0], err)
	}
	return commandStatus(command[0], cmd.Wait())
}

func notRunnable(command string, err error) error {
	return kit.Fail(kit.ExitUsage, "running "+command, err, "the words after -- are a command and its arguments")
}

func (p *publication) failure(doing string, err error) error {
	return sipFailure(doing+" for "+p.target, err)
}

// editDocument has the user edit a document in $VISUAL or $EDITOR.
func editDocument(k *kit.Kit, doc []byte) ([]byte, error) {
	editor := k.Env("VISUAL")
	if editor == "" {
		editor = k.Env("EDITOR")
	}
	if editor == "" {
		return nil, kit.Fail(kit.ExitUsage, "editing the document", "no editor is set", "set EDITOR, as in: EDITOR=vi imp publish --edit")
	}
	dir, err := os.MkdirTemp("", "imp-edit-")
	if err != nil {
		return nil, kit.Fail(kit.ExitUsage, "editing the document", err, "the document is edited in a file in TMPDIR, which must be writable")
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "presence.xml")
	if err := os.WriteFile(name, doc, 0o600); err != nil {
		return nil, kit.Fail(kit.ExitUsage, "editing the document", err, "the document is edited in a file in TMPDIR, which must be writable")
	}
	cmd := exec.Command("/bin/sh", "-c", editor+` "$1"`, "sh", name)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = k.In, k.Out, k.Err
	if err := cmd.Run(); err != nil {
		return nil, kit.Fail(kit.ExitUsage, "editing the document", "the editor failed: "+err.Error(), "nothing was published")
	}
	edited, err := os.ReadFile(name)
	if err != nil {
		return nil, kit.Fail(kit.ExitUsage, "editing the document", err, "the document is edited in a file in TMPDIR, which must be writable")
	}
	return edited, nil
}
