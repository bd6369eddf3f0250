package event

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

type resourceKey struct{ pkg, name string }

// resource is one watched resource of one package.
type resource struct {
	key      resourceKey
	pkg      Package
	interval time.Duration // pacing of its subscriptions

	// Guarded by the lock of the shard.
	subs       []*subscription
	generation uint64 // counts changes

	// Views render under this lock, one at a time. It is taken with no shard
	// locked, because a view may ask the notifier something and may take its
	// time.
	rendering  sync.Mutex
	renderings map[renderingKey]rendering
	rendered   uint64 // generation that renderings are of
}

type renderingKey struct {
	view  string
	since Mark
}

// rendering is a body that all subscriptions with equal view and mark share.
type rendering struct {
	body Body
	mark Mark
}

// keepRenderings is how many renderings a map may have had that is used again.
const keepRenderings = 64

// render gives the body that brings a watcher of v from version since up to
// date, shared with equal views. It shows the resource in the given generation
// or a later one.
func (r *resource) render(v View, since Mark, generation uint64) (out rendering, err error) {
	r.rendering.Lock()
	defer r.rendering.Unlock()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if r.rendered < generation {
		r.rendered = generation
		if len(r.renderings) > keepRenderings {
			r.renderings = nil
		}
		clear(r.renderings)
	}
	key := renderingKey{v.Key(), since}
	if got, ok := r.renderings[key]; ok {
		return got, nil
	}
	out.body, out.mark, err = v.Render(since)
	if err != nil || key.view == "" {
		return out, err
	}
	if r.renderings == nil {
		r.renderings = map[renderingKey]rendering{}
	}
	r.renderings[key] = out
	return out, nil
}

// closeView closes a view that may be rendering at this moment.
func (r *resource) closeView(v View, reason string) {
	r.rendering.Lock()
	defer r.rendering.Unlock()
	v.Close(reason)
}
