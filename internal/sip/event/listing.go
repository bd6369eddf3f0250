package event

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"imp/internal/store"
)

// Page lists live subscriptions in the order of their IDs: those after the ID after ("" begins with the first), at most
// limit of them, and whether there are more. resource "" stands for all. One shard is locked at a time, and only while
// its subscriptions are copied.
func (n *Notifier) Page(resource, after string, limit int) (infos []Info, more bool) {
	for i := range n.shards { // a tag begins with the number of its shard, so this is their order
		sh := &n.shards[i]
		if sh.newest() <= after {
			continue
		}
		if resource != "" && n.shard(resource) != sh {
			continue
		}
		tags := sh.tags(resource, after)
		slices.Sort(tags)
		if room := limit - len(infos); len(tags) > room {
			tags, more = tags[:room], true
		}
		infos = sh.infos(tags, infos)
		if more {
			return infos, true
		}
	}
	return infos, false
}

// newest is above every tag of the shard.
func (sh *shard) newest() string { return fmt.Sprintf("%02x~", sh.index) }

// tags are those after one, of all resources or of one.
func (sh *shard) tags(resource, after string) []string {
	sh.lock()
	defer sh.unlock()
	tags := make([]string, 0, len(sh.subs))
	for tag, s := range sh.subs {
		if tag > after && (resource == "" || s.resource.key.name == resource) {
			tags = append(tags, tag)
		}
	}
	return tags
}

// infos appends what there still is of the tags.
func (sh *shard) infos(tags []string, infos []Info) []Info {
	sh.lock()
	defer sh.unlock()
	for _, tag := range tags {
		if s := sh.subs[tag]; s != nil {
			infos = append(infos, s.info())
		}
	}
	return infos
}

// Listed is a live publication with what it is for.
type Listed struct {
	Publication
	Key             string // of the store
	Event, Resource string
}

// Page lists live publications in the order of their keys, those after the key after, as Notifier.Page lists
// subscriptions. A resource whose name was too long for a key appears as the hash in it. The bodies are the store's.
func (c *Compositor) Page(ctx context.Context, resource, after string, limit int) (list []Listed, more bool, err error) {
	prefix := store.Key("pub")
	if resource != "" {
		prefix = store.Key("pub", resource)
	}
	// The order of a scan is the store's: the first ones are kept as it goes.
	cut := func() {
		slices.SortFunc(list, func(a, b Listed) int { return strings.Compare(a.Key, b.Key) })
		if len(list) > limit {
			list, more = list[:limit], true
		}
	}
	for e, err := range c.cfg.Store.Scan(ctx, prefix) {
		if err != nil {
			return nil, false, fmt.Errorf("listing publications: %w", err)
		}
		if e.Key <= after {
			continue
		}
		parts, err := store.SplitKey(e.Key)
		if err != nil || len(parts) != 4 {
			continue
		}
		pub, err := decodePublication(parts[3], e)
		if err != nil {
			continue // Publications logs it
		}
		if list = append(list, Listed{Publication: pub, Key: e.Key, Event: parts[2], Resource: parts[1]}); len(list) > 2*limit {
			cut()
		}
	}
	cut()
	return list, more, nil
}

// Count is the number of live publications in the store.
func (c *Compositor) Count(ctx context.Context) (n int, err error) {
	for _, err := range c.cfg.Store.Scan(ctx, store.Key("pub")) {
		if err != nil {
			return 0, fmt.Errorf("counting publications: %w", err)
		}
		n++
	}
	return n, nil
}
