package presence

import (
	"context"

	"imp/internal/server/presence/winfo"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
)

// watcherInfo makes the template packages that tell of watchers: those of
// presence, and those of that (RFC 3857 section 4.6).
func (a *Agent) watcherInfo() []*winfo.Package {
	watchers := winfo.Config{Parent: a.Name(), Judge: a.answer, Hold: a.hold, MinExpires: a.cfg.MinExpires, MaxExpires: a.cfg.MaxExpires,
		Limits: a.cfg.Waiting, Log: a.cfg.Log}
	theirs := watchers
	theirs.Parent, theirs.Judge, theirs.Hold = a.Name()+".winfo", nil, nil
	return []*winfo.Package{winfo.New(watchers), winfo.New(theirs)}
}

// answer tells how a watcher of a presentity would be judged now.
func (a *Agent) answer(ctx context.Context, presentity, watcher string) (event.Decision, error) {
	uri, err := header.ParseURI(presentity)
	if err != nil {
		return event.Decision{}, err
	}
	if _, ok := a.cfg.Directory.Resource(uri); !ok {
		return event.Decision{State: event.Terminated, Reason: "noresource"}, nil
	}
	p, err := a.presentities.open(ctx, presentity, a.load)
	if err != nil {
		return event.Decision{}, err
	}
	defer a.presentities.release(p)
	decision, _ := a.judge(p, watcher)
	return decision, nil
}

// hold keeps a presentity in memory, so that not each answer reads all of it.
func (a *Agent) hold(ctx context.Context, presentity string) (release func(), err error) {
	p, err := a.presentities.open(ctx, presentity, a.load)
	if err != nil {
		return nil, err
	}
	return func() { a.presentities.release(p) }, nil
}
