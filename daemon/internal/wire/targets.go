package wire

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"netserver/handler/proxy"
	"netserver/internal/control"
)

// targetsPage lists the targets of backends, those of one if q names it, from
// the q.After-th on.
func targetsPage(backends []*proxy.Backend, q Ask) (a Answer) {
	size := 0
	rows := targetRows(backends, q.Backend)
	for _, t := range rows[min(uint64(len(rows)), q.After):] {
		text, err := json.Marshal(t)
		if err != nil {
			continue
		}
		if size += len(text); len(a.Targets) == MaxPage || size > maxPageBytes && len(a.Targets) > 0 {
			a.More = true
			return a
		}
		a.Targets = append(a.Targets, t)
	}
	return a
}

// plainTargets is what targets of proxy_to are listed under, which have no
// [[backend]].
const plainTargets = "proxy_to"

// targetRows lists the targets of backends, those of one if it is named. A target
// that several ports or routes have by proxy_to is one.
func targetRows(backends []*proxy.Backend, of string) (rows []control.Target) {
	plain := make(map[[2]string]int)
	for _, b := range backends {
		name := cmp.Or(b.Name, plainTargets)
		if of != "" && of != name {
			continue
		}
		for _, s := range b.List() {
			t := targetRow(name, s)
			if b.Name == "" {
				key := [2]string{t.Target, t.Address}
				if i, ok := plain[key]; ok {
					rows[i].Clients += t.Clients
					rows[i].Connected += t.Connected
					rows[i].Failed += t.Failed
					rows[i].Checks += t.Checks
					rows[i].Faults += t.Faults
					continue
				}
				plain[key] = len(rows)
			}
			rows = append(rows, t)
		}
	}
	return rows
}

func targetRow(backend string, s proxy.TargetState) control.Target {
	t := control.Target{
		Backend: ShortName(backend), Target: ShortName(s.Target), Address: ShortName(s.Address),
		State: s.State, Reason: ShortName(s.Reason), Check: ShortName(s.Checked),
		Weight: s.Weight, Max: s.Max, Backup: s.Backup,
		Clients: s.Clients, Connected: s.Total, Failed: s.Failed, Checks: s.Checks, Faults: s.Faults, Processes: 1,
	}
	if !s.Since.IsZero() {
		t.Since = InSeconds(time.Since(s.Since))
	}
	if s.Connect > 0 {
		c := s.Connect.Seconds()
		t.Connect = &c
	}
	if s.State == "up" {
		t.Up = 1
	}
	return t
}

// changeTarget adds, drains or removes a target.
func changeTarget(backends []*proxy.Backend, q Ask) Answer {
	err := fmt.Errorf("there is no [[backend]] named %q", ShortName(q.Backend))
	if q.Backend == plainTargets {
		err = errors.New("targets of proxy_to stay as they are: write them as a [[backend]] to change them")
	}
	for _, b := range backends {
		if b.Name != q.Backend {
			continue
		}
		switch q.Change {
		case control.TargetAdd:
			var t proxy.Target
			if t, err = proxy.ParseTarget(q.Target); err == nil {
				err = b.Add(t)
			}
		case control.TargetDrain:
			err = b.Drain(q.Target)
		case control.TargetRemove:
			err = b.Remove(q.Target)
		default:
			err = fmt.Errorf("this version of the program does not know %q", q.Change)
		}
	}
	if err != nil {
		return Answer{Failed: err.Error()}
	}
	return Answer{Changed: true}
}

func checkTarget(t *control.Target) error {
	for _, s := range []*string{&t.Backend, &t.Target, &t.Address, &t.State, &t.Reason, &t.Check} {
		*s = Clean(*s, maxText)
	}
	t.Processes = 1
	if t.Up = 0; t.State == "up" {
		t.Up = 1
	}
	if max(t.Connected, t.Failed, t.Checks, t.Faults) > MaxTally {
		return errors.New("too many clients or checks")
	}
	return errors.Join(
		atMost("clients", t.Clients, maxAtOnce), atMost("weight", t.Weight, maxAtOnce), atMost("max", t.Max, maxAtOnce),
		amount("since", &t.Since), amount("connect", t.Connect),
	)
}
