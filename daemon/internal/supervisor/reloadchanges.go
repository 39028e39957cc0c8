package supervisor

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"netserver/conf"
	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/control"
)

// planFor says what going over from a generation to a plan does, and why.
// Values are not shown: some are secret.
func planFor(g *generation, pl *wire.Plan, old, now *Settings, binary *childproc.Binary, kinds map[string]KeyKind) control.Plan {
	keys := keysOf(pl.Ports)
	d := portChanges(g, pl, keys, kinds)
	p := control.Plan{
		Kept: []string{}, Added: list(d.added), Removed: list(d.removed), Changed: []control.Change{},
		Handler: handlerChanges(g.plan, pl, kinds), Program: !g.binary.Same(binary), Settings: settingChanges(g.plan, pl, kinds), Stays: list(append(NeedsStart(old, now), socketStays(g, pl, keys)...)),
	}
	at := make(map[string]int)
	for i, k := range keys {
		at[k] = i
	}
	gone := make(map[int]bool)
	for _, i := range d.gone {
		gone[i] = true
	}
	for i, k := range g.keys {
		was := g.plan.Ports[i].Spec
		j, there := at[k]
		switch {
		case !gone[i]:
			p.Kept = append(p.Kept, was.Short())
		case there:
			is := pl.Ports[j].Spec
			var why []string
			if was.Kind() != is.Kind() {
				why = append(why, was.Kind()+" becomes "+is.Kind())
			}
			why = append(why, differences(was.Params, is.Params)...)
			why = append(why, servingChanges(g.plan, pl, i, j)...)
			p.Changed = append(p.Changed, control.Change{Port: was.Short(), Why: strings.Join(why, ", ")})
		}
	}
	return p
}

// list is a list that is empty rather than null in JSON.
func list(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}

// differences returns the keys whose values differ, sorted.
func differences(a, b conf.Values) []string {
	keys := make(map[string]bool)
	for _, v := range []conf.Values{a, b} {
		for k := range v {
			if !slices.Equal(textsOf(a[k]), textsOf(b[k])) {
				keys[k] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// handlerChanges returns why another handler serves.
func handlerChanges(a, b *wire.Plan, kinds map[string]KeyKind) []string {
	why := []string{}
	if !slices.Equal(a.Program, b.Program) {
		why = append(why, "the program behind --")
	}
	for _, k := range differences(a.Values, b.Values) {
		if kinds[k] == HandlerKey {
			why = append(why, k)
		}
	}
	return why
}

// servingChanges returns which of a port's own keys, routes and backends differ
// that say what serves its clients. i is the port's place in a, j in b.
func servingChanges(a, b *wire.Plan, i, j int) []string {
	was, is := servingOf(a, i), servingOf(b, j)
	why := differences(was.Values, is.Values)
	if !sameTables(was.Tables, is.Tables) {
		why = append(why, "routes")
	}
	old, now := backendsOf(a), backendsOf(b)
	for _, name := range namedBackends(is, b.Values) {
		if !sameValues(old[name].Values, now[name].Values) {
			why = append(why, "backend "+name)
		}
	}
	return why
}

// servingOf is what the port at place i has for itself; nothing in the plan of
// a program without such.
func servingOf(p *wire.Plan, i int) conf.Block {
	if i < len(p.Serving) {
		return p.Serving[i]
	}
	return conf.Block{}
}

// sameTables compares the tables of two blocks, wherever they were given.
func sameTables(a, b map[string][]conf.Block) bool {
	return maps.EqualFunc(a, b, func(x, y []conf.Block) bool {
		return slices.EqualFunc(x, y, func(v, w conf.Block) bool { return sameValues(v.Values, w.Values) && sameTables(v.Tables, w.Tables) })
	})
}

// backendsOf returns the backends of a plan by name.
func backendsOf(p *wire.Plan) map[string]conf.Block {
	m := make(map[string]conf.Block)
	for _, b := range p.Tables["backend"] {
		m[b.Values.Get("name")] = b
	}
	return m
}

// namedBackends returns the backends that a port or its routes name, or that of
// the whole server for a port without a handler of its own.
func namedBackends(b conf.Block, server conf.Values) (names []string) {
	add := func(v conf.Values) {
		if name := v.Get("backend"); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	add(b.Values)
	for _, r := range b.Tables["route"] {
		add(r.Values)
	}
	own := slices.ContainsFunc([]string{"backend", "proxy_to", "program", "echo"}, func(key string) bool { return len(b.Values[key]) > 0 })
	if !own && len(b.Tables) == 0 {
		add(server)
	}
	return names
}

// settingChanges returns the other keys that differ. Those that make ports are
// seen in the ports.
func settingChanges(a, b *wire.Plan, kinds map[string]KeyKind) []string {
	changed := []string{}
	for _, k := range differences(a.Values, b.Values) {
		if kinds[k] == OtherKey {
			changed = append(changed, k)
		}
	}
	return changed
}

// NeedsStart returns the keys that differ and hold only from a start.
func NeedsStart(old, now *Settings) (keys []string) {
	for i, k := range now.AtStart {
		if k.Value != old.AtStart[i].Value {
			keys = append(keys, k.Key)
		}
	}
	if old.Umask != nil && now.Umask == nil { // nobody knows what was before
		keys = append(keys, "umask")
	}
	return keys
}

// halfWritten refuses a new plan that shows that its conf file is not what its
// author meant. What such a file leaves out would be ports that are closed,
// and rules that no longer hold.
func halfWritten(old, now *wire.Plan) error {
	switch {
	case old.FileKeys > 0 && now.FileKeys == 0:
		return fmt.Errorf("the conf file now sets no key (before: %d): it is empty or half written", old.FileKeys)
	case now.Unnamed && !old.Unnamed:
		return errors.New("no port is configured any more, and the default port 20203 would be opened; configure a port, or stop and start the server if that is intended")
	case now.NoFinalNewline && !old.NoFinalNewline && old.FileKeys > 0:
		return errors.New("the conf file no longer ends with a newline: it may be half written; end its last line")
	}
	return nil
}

// logKeys are the keys of the log that stay as they are until the server is
// started again.
var logKeys = [...]string{"log_file", "access_log_file", "log_format", "syslog_ident", "syslog_facility", "syslog_logopt", "syslog_logsock"}

// keepLog gives a new configuration the log of the one in force, which stays
// until the server is started again.
func (s *supervisor) keepLog(c *Settings, pl *wire.Plan) {
	old := s.newest().plan.Values
	if pl.Values == nil {
		pl.Values = make(conf.Values)
	}
	for _, key := range logKeys {
		if len(old[key]) > 0 {
			pl.Values[key] = old[key]
		} else {
			delete(pl.Values, key)
		}
	}
	level := c.Log.Level
	c.Log = s.conf.Log
	c.Log.Level = level
	for i, k := range s.conf.AtStart {
		if slices.Contains(logKeys[:], k.Key) {
			c.AtStart[i] = k
		}
	}
}

// A difference is what a new plan does to the ports of a generation.
type difference struct {
	added, removed, changed []string
	gone                    []int // ports that are removed or changed, by place
	kept                    int
	handler                 bool // what serves the clients is another
}

// portChanges compares g with a plan whose sockets have keys, as keysOf returned
// them before the ports' real numbers were known.
func portChanges(g *generation, pl *wire.Plan, keys []string, kinds map[string]KeyKind) difference {
	d := difference{handler: len(handlerChanges(g.plan, pl, kinds)) > 0}
	at := make(map[string]int)
	for i, k := range keys {
		at[k] = i
	}
	for i, k := range g.keys {
		old := g.plan.Ports[i]
		j, ok := at[k]
		delete(at, k)
		switch {
		case !ok:
			d.removed = append(d.removed, old.Spec.Short())
		case old.Spec.Kind() != pl.Ports[j].Spec.Kind(), !sameValues(old.Spec.Params, pl.Ports[j].Spec.Params),
			len(servingChanges(g.plan, pl, i, j)) > 0:
			d.changed = append(d.changed, old.Spec.Short())
		default:
			d.kept++
			continue
		}
		d.gone = append(d.gone, i)
	}
	for _, i := range slices.Sorted(maps.Values(at)) {
		d.added = append(d.added, pl.Ports[i].Spec.Short())
	}
	return d
}

// sameValues compares values, wherever they were given.
func sameValues(a, b conf.Values) bool {
	strip := func(v conf.Values) map[string][]string {
		m := make(map[string][]string)
		for k, vals := range v {
			m[k] = textsOf(vals)
		}
		return m
	}
	return reflect.DeepEqual(strip(a), strip(b))
}

func textsOf(vals []conf.Value) []string {
	var list []string
	for _, v := range vals {
		list = append(list, v.Name+"="+v.Text)
	}
	return list
}
