package supervisor

import (
	"errors"
	"fmt"
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
func planFor(g *generation, pl *wire.Plan, old, now *Settings, binary *proc.Binary, kinds map[string]KeyKind) control.Plan {
	keys := keysOf(pl.Ports)
	d := compare(g, pl, keys, kinds)
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

// halfWritten refuses a new plan that shows that its conf file is not what its
// author meant. What such a file leaves out would be ports that are closed,
// and rules that no longer hold.
func halfWritten(old, now *wire.Plan) error {
	switch {
	case old.FileKeys > 0 && now.FileKeys == 0:
		return fmt.Errorf("the conf file gives no key any more, and gave %d before: it is empty or half written", old.FileKeys)
	case now.Unnamed && !old.Unnamed:
		return errors.New("nothing names a port any more, so that the default port 20203 would be opened; name a port, or stop and start the server if that is meant")
	case now.Unended && !old.Unended && old.FileKeys > 0:
		return errors.New("the conf file ends within a line, and did not before: it seems half written; end its last line")
	}
	return nil
}

// logKeys are the keys of the log that stay as they are until the server is
// started again.
var logKeys = [...]string{"log_file", "log_format", "syslog_ident", "syslog_facility", "syslog_logopt", "syslog_logsock"}

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
