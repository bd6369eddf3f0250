package event

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// served is a package of a notifier.
type served struct {
	Package
	name     string
	interval time.Duration // pacing of its subscriptions
	require  string        // option tag that its answers and NOTIFYs need; "" for none
}

type resourceKey struct {
	pkg  *served
	name string
}

// resource is one watched resource of one package.
type resource struct {
	key resourceKey

	// Guarded by the lock of the shard.
	subs       []*subscription
	generation uint64 // counts changes

	// Views render under this lock, one at a time. It is taken with no shard
	// locked, because a view may ask the notifier something and may take its
	// time.
	alone     atomic.Bool // there is one subscription, so nobody to share renderings with
	rendering sync.Mutex
	rendered  uint64      // generation that the renderings are of
	kept      *renderings // nil: none
}

// renderings are those that subscriptions share.
type renderings struct {
	one  rendering
	more map[renderingKey]rendering // beside one: most resources need no map
	size int                        // of those in more
}

// maxRenderings bounds the renderings of a resource in more, in bytes: watchers
// who each ask for something else make as many as they like.
const maxRenderings = 2 << 20

// cost is about how many bytes a rendering takes.
func (r *rendering) cost() int { return 256 + len(r.key.view) + len(r.body.Bytes) }

type renderingKey struct {
	view  string // "": nothing
	since Mark
}

// rendering is a body that all subscriptions with equal view and mark share.
type rendering struct {
	key  renderingKey
	body Body
	mark Mark
	tag  entityTag
}

// errReplaced says that the view is not the subscription's any more.
var errReplaced = errors.New("the view was replaced")

// render gives the body that brings a watcher of v from version since up to
// date, shared with equal views. It shows the resource in the given generation
// or a later one. v is the view of s, or s is nil and nobody else knows it.
func (r *resource) render(s *subscription, v View, since Mark, generation uint64) (out rendering, err error) {
	r.rendering.Lock()
	defer r.rendering.Unlock()
	if s != nil && !s.has(v) {
		return rendering{}, errReplaced // and perhaps closed
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if r.rendered < generation {
		r.rendered, r.kept = generation, nil
	}
	key := renderingKey{v.Key(), since}
	if got, ok := r.shared(key); ok {
		return got, nil
	}
	out.key = key
	out.body, out.mark, err = v.Render(since)
	if err != nil {
		return out, err
	}
	out.tag = entityTagOf(&out.body, stateName(v, out.mark))
	if key.view != "" && !r.alone.Load() {
		r.share(out)
	}
	return out, nil
}

func (r *resource) shared(key renderingKey) (rendering, bool) {
	if r.kept == nil {
		return rendering{}, false
	}
	if key == r.kept.one.key {
		return r.kept.one, key.view != ""
	}
	got, ok := r.kept.more[key]
	return got, ok
}

func (r *resource) share(out rendering) {
	if r.kept == nil {
		r.kept = &renderings{one: out}
		return
	}
	if r.kept.more == nil {
		r.kept.more = map[renderingKey]rendering{}
	}
	r.kept.more[out.key] = out
	r.kept.size += out.cost()
	for key, other := range r.kept.more {
		if r.kept.size <= maxRenderings {
			break
		}
		r.kept.size -= other.cost()
		delete(r.kept.more, key)
	}
}

// closeView closes a view that may be rendering at this moment.
func (r *resource) closeView(v View, reason string) {
	r.rendering.Lock()
	defer r.rendering.Unlock()
	v.Close(reason)
}
