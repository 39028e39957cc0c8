package daemon

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"netserver/conf"
	"netserver/daemon/internal/wire"
	"netserver/internal/control"
	"netserver/internal/proc"
)

// planFor says what going over from a generation to a plan does, and why.
// Values are not shown: some are secret.
func planFor(g *generation, pl *wire.Plan, old, now *Config, binary *proc.Binary) control.Plan {
	keys := keysOf(pl.Ports)
	d := compare(g, pl, keys)
	p := control.Plan{
		Kept: []string{}, Added: list(d.added), Removed: list(d.removed), Changed: []control.Change{},
		Handler: handlerChanges(g.plan, pl), Program: !g.binary.Same(binary), Settings: settingChanges(g.plan, pl), Stays: list(append(needsStart(old, now), socketStays(g, pl, keys)...)),
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
func handlerChanges(a, b *wire.Plan) []string {
	why := []string{}
	if !slices.Equal(a.Program, b.Program) {
		why = append(why, "the program behind --")
	}
	groups := keyGroups()
	for _, k := range differences(a.Values, b.Values) {
		if groups[k] == groupHandler {
			why = append(why, k)
		}
	}
	return why
}

// settingChanges returns the other keys that differ. Those that make ports are
// seen in the ports.
func settingChanges(a, b *wire.Plan) []string {
	changed := []string{}
	groups := keyGroups()
	for _, k := range differences(a.Values, b.Values) {
		if g := groups[k]; g != groupHandler && g != groupPorts {
			changed = append(changed, k)
		}
	}
	return changed
}

// keyGroups returns the group of each key.
func keyGroups() map[string]string {
	set := new(conf.Set)
	new(Config).Define(set)
	m := make(map[string]string)
	for _, k := range set.Keys() {
		m[k.Name] = k.Group
	}
	return m
}

// needsStart returns the keys that differ and hold only from a start.
func needsStart(old, now *Config) (keys []string) {
	o, n := old.Process.Control, now.Process.Control
	for _, k := range []struct {
		name string
		same bool
	}{
		{"log_file", old.LogFile == now.LogFile},
		{"log_format", old.LogFormat == now.LogFormat},
		{"syslog_ident", old.Syslog.Ident == now.Syslog.Ident},
		{"syslog_facility", old.Syslog.Facility == now.Syslog.Facility},
		{"syslog_logopt", old.Syslog.LogOpt == now.Syslog.LogOpt},
		{"syslog_logsock", old.Syslog.LogSock == now.Syslog.LogSock},
		{"pid_file", old.Process.PIDFile == now.Process.PIDFile},
		{keyControlSocket, o.Socket == n.Socket},
		{keyControlMode, cmp.Or(o.Mode, 0o600) == cmp.Or(n.Mode, 0o600)},
		{keyControlOwner, o.Owner == n.Owner},
		{"background", old.Process.Background == now.Process.Background},
		{"setsid", old.Process.Setsid == now.Process.Setsid},
		{"supervisor", old.Process.Supervisor == now.Process.Supervisor},
		{"sig_passthrough", slices.Equal(old.Process.SigPassthrough, now.Process.SigPassthrough)},
		{"umask", old.Process.Umask == nil || now.Process.Umask != nil}, // nobody knows what was before
	} {
		if !k.same {
			keys = append(keys, k.name)
		}
	}
	return keys
}

// planned makes the configuration of a plan that was found good.
func (s *supervisor) planned(pl *wire.Plan) (*Config, error) {
	c, _, err := s.v.fromPlan(pl, conf.KeepUnknown)
	if err == nil {
		c.identity, err = c.Process.identify()
	}
	return c, err
}

// A reloaded is what became of a reload.
type reloaded struct {
	generation int
	plan       control.Plan
	err        error
}

// reloads are those who wait for a reload. A reload that was asked for while
// another was under way is the next one: that other may have read the
// configuration before it was changed.
type reloads struct {
	next, now []chan<- reloaded // with room for the answer
	plan      control.Plan      // of the one that is under way
}

// errEnding is why there is no reload.
var errEnding = errors.New("the server is ending: no restart")

func (r *reloads) await(c chan<- reloaded) { r.next = append(r.next, c) }

// begin is called when a reload is under way.
func (r *reloads) begin() { r.now, r.next = append(r.now, r.next...), nil }

// concluded tells who waited for it how it went.
func (r *reloads) concluded(generation int, err error) {
	for _, c := range r.now {
		c <- reloaded{generation, r.plan, err}
	}
	r.now, r.plan = nil, control.Plan{}
}

// none tells everybody that there is no reload any more.
func (r *reloads) none() {
	r.begin()
	r.concluded(0, errEnding)
}
