package wire

import (
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
	var at uint64
	size := 0
	for _, b := range backends {
		if q.Backend != "" && q.Backend != b.Name {
			continue
		}
		for _, s := range b.List() {
			if at++; at <= q.After {
				continue
			}
			t := targetRow(b.Name, s)
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
	}
	return a
}

func targetRow(backend string, s proxy.TargetState) control.Target {
	t := control.Target{
		Backend: ShortName(backend), Target: ShortName(s.Target), Address: ShortName(s.Address),
		State: s.State, Reason: ShortName(s.Reason), Check: ShortName(s.Checked),
		Weight: s.Weight, Max: s.Max, Backup: s.Backup,
		Clients: s.Clients, Connected: s.Total, Failed: s.Failed, Processes: 1,
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
	if t.Connected > MaxTally || t.Failed > MaxTally {
		return errors.New("too many clients")
	}
	return errors.Join(
		atMost("clients", t.Clients, maxAtOnce), atMost("weight", t.Weight, maxAtOnce), atMost("max", t.Max, maxAtOnce),
		amount("since", &t.Since), amount("connect", t.Connect),
	)
}
