package router

import (
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
)

// snapshot is a Table made ready for requests. It is immutable.
type snapshot struct {
	exact      map[string]*route
	wild       map[string]*route // by what follows the "*", ".example.com"
	superseded chan struct{}     // closed when another snapshot took its place
}

// route is a Route with targets that live longer than it does.
type route struct {
	appID   string
	appName string
	state   RouteState
	targets []*target
	limit   int64
	held    *atomic.Int64 // requests of the app that wait for a dyno
}

// Publish makes t what requests are routed by, from now on. Dynos that t lists
// no longer get no new requests and lose their unused connections; requests
// that were sent to them run on. A drained dyno stays drained as long as tables
// list it. The caller MUST NOT change t afterwards.
func (r *Router) Publish(t *Table) {
	r.mu.Lock()
	defer r.mu.Unlock()

	next := &snapshot{
		exact:      make(map[string]*route, len(t.Hosts)),
		wild:       make(map[string]*route),
		superseded: make(chan struct{}),
	}
	b := tableBuild{r: r, routes: make(map[*Route]*route), held: make(map[string]*atomic.Int64), listed: make(map[string]*target), disputed: disputed(t)}
	for host, src := range t.Hosts {
		rt := b.route(src)
		if rest, ok := strings.CutPrefix(host, "*"); ok {
			next.wild[rest] = rt
		} else {
			next.exact[host] = rt
		}
	}
	for id, old := range r.targets {
		if b.listed[id] != old {
			r.unlist(old)
		}
	}
	for id, now := range b.listed {
		r.targets[id] = now
	}
	r.held = b.held
	if last := r.table.Swap(next); last != nil {
		close(last.superseded)
	}
}

// tableBuild is the work of one Publish.
type tableBuild struct {
	r        *Router
	routes   map[*Route]*route
	held     map[string]*atomic.Int64
	listed   map[string]*target
	disputed map[netip.AddrPort]bool
}

func (b *tableBuild) route(src *Route) *route {
	if rt := b.routes[src]; rt != nil {
		return rt
	}
	held := b.held[src.AppID]
	if held == nil {
		if held = b.r.held[src.AppID]; held == nil {
			held = new(atomic.Int64)
		}
		b.held[src.AppID] = held
	}
	rt := &route{appID: src.AppID, appName: src.AppName, state: src.State, limit: int64(src.Concurrency), held: held}
	if rt.limit <= 0 {
		rt.limit = int64(b.r.limits.Concurrency)
	}
	for _, d := range src.Targets {
		if d.DynoID == "" || !d.Addr.IsValid() || b.disputed[d.Addr] {
			continue
		}
		if t := b.target(src.AppID, d); t != nil && !slices.Contains(rt.targets, t) {
			rt.targets = append(rt.targets, t)
		}
	}
	b.routes[src] = rt
	return rt
}

// target finds or makes the target of a dyno; nil if another app has it.
func (b *tableBuild) target(appID string, d Target) *target {
	if t := b.listed[d.DynoID]; t != nil {
		if t.appID != appID || t.addr != d.Addr {
			return nil
		}
		return t
	}
	t := b.r.targets[d.DynoID]
	if t == nil || t.appID != appID || t.addr != d.Addr {
		// A dyno keeps its app and address for life. Should a table say
		// otherwise, nothing but its having been drained is carried over.
		drained := t != nil && t.drained
		t = &target{r: b.r, id: d.DynoID, appID: appID, name: d.Name, addr: d.Addr, drained: drained}
		if drained {
			t.load.shut()
		}
	}
	t.listed = true
	if !t.drained {
		t.setCut(false)
		t.load.open()
	}
	b.listed[d.DynoID] = t
	return t
}

// unlist shuts a target that is not in the table any more.
func (r *Router) unlist(t *target) {
	t.listed = false
	t.load.shut()
	if !t.drained {
		// Nobody promised to keep the dyno alive for what was claimed and
		// not sent yet: such a request has to find another dyno.
		t.setCut(true)
	}
	t.closeIdle()
	if t.load.inside() == 0 && r.targets[t.id] == t {
		r.forget(t)
	}
}

// disputed lists addresses that a table gives to dynos of different apps. One
// of them is stale, and as there is no telling which, none is used.
func disputed(t *Table) map[netip.AddrPort]bool {
	owner := make(map[netip.AddrPort]string)
	var bad map[netip.AddrPort]bool
	for _, rt := range t.Hosts {
		for _, d := range rt.Targets {
			if app, ok := owner[d.Addr]; ok && app != rt.AppID {
				if bad == nil {
					bad = make(map[netip.AddrPort]bool)
				}
				bad[d.Addr] = true
			}
			owner[d.Addr] = rt.AppID
		}
	}
	return bad
}
