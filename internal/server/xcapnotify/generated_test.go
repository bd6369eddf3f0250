package xcapnotify_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"imp/internal/server/xcapnotify"
	"imp/internal/store"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
)

const (
	services  = "rls-services/global/index"
	caps      = "xcap-caps/global/index"
	directory = "org.openmobilealliance.xcap-directory/users/sip:alice@example.com/directory.xml"
)

// maker makes documents for the package, as an XCAP server does.
type maker struct {
	t   *testing.T
	pkg *xcapnotify.Package

	mu     sync.Mutex
	etags  map[string]string
	bodies map[string]string
	err    error
	then   func() // called once, when a document has been made and is not yet returned
	made   int
}

func (m *maker) Generated(xui string) (list []*uri.URI) {
	for _, path := range []string{services, caps, strings.Replace(directory, "sip:alice@example.com", xui, 1)} {
		u, err := uri.Parse(path)
		if err != nil {
			m.t.Error(err)
		}
		list = append(list, u)
	}
	return list
}

func (m *maker) Generate(_ context.Context, u *uri.URI) (string, []byte, error) {
	m.mu.Lock()
	etag, body, err, then := m.etags[u.Path()], m.bodies[u.Path()], m.err, m.then
	m.then = nil
	m.made++
	m.mu.Unlock()
	if then != nil {
		then()
	}
	if err != nil {
		etag = ""
	}
	return etag, []byte(body), err
}

func (m *maker) Sources(u *uri.URI) []string {
	if u.AUID == "rls-services" || u.AUID == "xcap-caps" {
		return nil
	}
	return []string{key.Home(root, "resource-lists", u.XUI), key.Home(root, "pres-rules", u.XUI)}
}

// set gives a document another version without a word.
func (m *maker) set(path, etag, body string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.etags[path], m.bodies[path] = etag, body
}

// tell gives a document another version and tells so.
func (m *maker) tell(path, etag, body string) {
	m.t.Helper()
	m.set(path, etag, body)
	u, err := uri.Parse(path)
	if err != nil {
		m.t.Fatal(err)
	}
	m.pkg.Regenerated(key.Document(root, u))
	synctest.Wait()
}

func runMaking(t *testing.T, change func(*xcapnotify.Config), wrap func(store.KV) store.KV, f func(*rig, *maker)) {
	t.Helper()
	m := &maker{t: t, etags: map[string]string{services: "s1", caps: "c1", directory: "d1"}, bodies: map[string]string{services: offer("a"), caps: "<caps/>", directory: "<d/>"}}
	runWith(t, func(c *xcapnotify.Config) {
		c.Generated = m
		if change != nil {
			change(c)
		}
	}, wrap, func(r *rig) {
		m.pkg = r.pkg
		f(r, m)
	})
}

// offer is an index of services.
func offer(names ...string) string {
	var b strings.Builder
	b.WriteString(`<rls-services xmlns="urn:ietf:params:xml:ns:rls-services">` + "\n")
	for _, n := range names {
		b.WriteString(`<service uri="sip:` + n + `@example.com"/>` + "\n")
	}
	return b.String() + "</rls-services>"
}

func TestGenerated(t *testing.T) {
	t.Run("XDE-018 XDE-019 what the server makes is told to those who may read it", func(t *testing.T) {
		runMaking(t, nil, nil, func(r *rig, m *maker) {
			_, d := r.subscribe("alice", "", services, caps, directory)
			r.says(d, "exist "+directory+" >d1", "exist "+caps+" >c1")
			_, d = r.subscribe("bob", "", services, caps, directory)
			r.says(d, "exist "+caps+" >c1")
			m.tell(services, "s2", offer("a", "b"))
			r.quiet()
			_, d = r.subscribe("rls", "", services, caps, directory)
			r.says(d, "exist "+directory+" >d1", "exist "+services+" >s2", "exist "+caps+" >c1")
		})
	})
	t.Run("XDE-018 where nobody authenticates they are for everybody", func(t *testing.T) {
		runMaking(t, func(c *xcapnotify.Config) { c.Open = true }, nil, func(r *rig, _ *maker) {
			r.put(index, friends("bob"))
			_, d := r.subscribe("bob", "", services, index)
			r.says(d, "exist "+services+" >s1")
		})
	})
	t.Run("XDE-018 collections have them", func(t *testing.T) {
		runMaking(t, nil, nil, func(r *rig, m *maker) {
			r.put(index, friends("bob"))
			_, d := r.subscribe("alice", "", "xcap-caps/", "rls-services/", "org.openmobilealliance.xcap-directory/users/", lists)
			r.says(d, "exist "+directory+" >d1", "exist "+index+" >e1", "exist "+caps+" >c1")
			_, d = r.subscribe("rls", "", "rls-services/global/", "org.openmobilealliance.xcap-directory/users/")
			r.says(d, "exist "+services+" >s1")
			_, d = r.subscribe("rls", "", "org.openmobilealliance.xcap-directory/users/sip:alice@example.com/", "pres-rules/")
			r.says(d, "exist "+directory+" >d1")
			m.tell(services, "s2", offer("b"))
			r.says(r.next(), "fetch "+services+" s1>s2")
			r.quiet()
		})
	})
	t.Run("XDE-025 changes are told in a chain of entity-tags, each once", func(t *testing.T) {
		runMaking(t, nil, nil, func(r *rig, m *maker) {
			p, _ := r.subscribe("rls", "", services)
			m.tell(services, "s2", offer("a", "b"))
			r.says(r.next(), "fetch "+services+" s1>s2")
			m.tell(services, "s2", offer("a", "b"))
			r.quiet()
			m.tell(services, "s3", offer("b"))
			r.says(r.next(), "fetch "+services+" s2>s3")
			m.tell(services, "", "")
			r.says(r.next(), "remove "+services+" s3>")
			m.tell(services, "s4", offer("b"))
			r.says(r.next(), "exist "+services+" >s4")
			if res := p.ask("", "Event: xcap-diff", "Expires: 0"); res.Status != 200 {
				t.Fatal(res.Status)
			}
			r.take().answer(200)
			made := m.made
			if m.tell(services, "s5", offer("c")); r.pkg.Documents() != 0 || m.made != made {
				t.Errorf("%d documents are followed by nobody, one was made %d times", r.pkg.Documents(), m.made-made)
			}
		})
	})
	t.Run("XDE-026 patches, but in xcap-patching, which would tell every version", func(t *testing.T) {
		runMaking(t, nil, nil, func(r *rig, m *maker) {
			p, _ := r.subscribe("rls", "", services)
			if res := p.ask("", "Event: xcap-diff;diff-processing=aggregate"); res.Status != 200 {
				t.Fatal(res.Status)
			}
			r.next()
			m.tell(services, "s2", offer("a", "b"))
			r.says(r.next(), "patch "+services+" s1>s2")
			r.subscribe("rls", "xcap-patching", services)
			m.tell(services, "s3", offer("b"))
			one, other := show(r.next()), show(r.next())
			if fetch := "fetch " + services + " s2>s3\n"; one != fetch && other != fetch || one == other {
				t.Errorf("got %s%s", one, other)
			}
		})
	})
	t.Run("XDE-018 elements and attributes in them", func(t *testing.T) {
		runMaking(t, nil, nil, func(r *rig, m *maker) {
			sel := services + "/~~/rls-services/service%5B1%5D/@uri"
			_, d := r.subscribe("rls", "", sel)
			r.says(d, "attribute "+sel+" true sip:a@example.com")
			m.tell(services, "s2", offer("b"))
			r.says(r.next(), "attribute "+sel+" true sip:b@example.com")
		})
	})
}

func TestRegenerated(t *testing.T) {
	t.Run("a directory follows the documents of its user", func(t *testing.T) {
		runMaking(t, nil, nil, func(r *rig, m *maker) {
			r.subscribe("alice", "", directory)
			m.set(directory, "d2", "<d>2</d>")
			r.settle(strings.ReplaceAll(index, "alice", "bob"), friends())
			r.quiet()
			r.settle(index, friends())
			r.says(r.next(), "fetch "+directory+" d1>d2")
			m.set(directory, "d3", "<d>3</d>")
			r.delete(index)
			r.says(r.next(), "fetch "+directory+" d2>d3")
		})
	})
	t.Run("what changes while it is made is made again", func(t *testing.T) {
		runMaking(t, nil, nil, func(r *rig, m *maker) {
			u, _ := uri.Parse(services)
			m.then = func() {
				m.set(services, "s2", offer("b"))
				r.pkg.Regenerated(key.Document(root, u))
			}
			_, d := r.subscribe("rls", "", services)
			if len(d.Changes) != 1 || d.Changes[0].NewETag != "s2" {
				r.says(d, "exist "+services+" >s1")
				r.says(r.next(), "fetch "+services+" s1>s2")
			}
		})
	})
	t.Run("XDE-025 what the watch has lost is made up for", func(t *testing.T) {
		for _, closes := range []bool{false, true} {
			var lossy *forgetful
			wrap := func(kv store.KV) store.KV {
				lossy = &forgetful{KV: kv, lose: make(chan struct{}), reset: make(chan struct{}), late: make(chan struct{}), closes: closes}
				return lossy
			}
			runMaking(t, nil, wrap, func(r *rig, m *maker) {
				r.put(index, friends())
				r.subscribe("alice", "", directory)
				lossy.lose <- struct{}{}
				m.set(directory, "d2", "<d>2</d>")
				r.delete(index)
				r.quiet()
				lossy.reset <- struct{}{}
				r.says(r.next(), "fetch "+directory+" d1>d2")
			})
		}
	})
	t.Run("what cannot be made refuses, and later waits for the next change", func(t *testing.T) {
		runMaking(t, nil, nil, func(r *rig, m *maker) {
			m.err = errors.New("no")
			if res := r.subscriber("alice").ask(list(caps), "Event: xcap-diff"); res.Status != 500 {
				t.Errorf("answered %d", res.Status)
			}
			m.err = nil
			r.subscribe("rls", "", services, caps)
			m.err = errors.New("no")
			m.tell(services, "s2", offer("b"))
			r.quiet()
			m.err = nil
			m.tell(caps, "c2", "<caps>2</caps>")
			r.says(r.next(), "fetch "+services+" s1>s2", "fetch "+caps+" c1>c2")
		})
	})
}
