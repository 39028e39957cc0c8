package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"netserver/internal/control"
)

const (
	maxConns = 10_000 // clients that are listed
	maxTime  = 15 * time.Second
)

// An asker carries out a request of the control protocol, as control.Do does.
type asker func(ctx context.Context, r *control.Request, each func(part string, data json.RawMessage) error) error

// A snapshot is what the server has answered at one time.
type snapshot struct {
	at      time.Time
	status  control.Status
	metrics control.Metrics
	conns   control.Conns
	targets control.Targets
	certs   control.Certs
	limits  control.Limits
	refused map[string]string // verbs that it has not answered, and why
}

// fetch asks all that is shown, at the same time: a worker that does not answer
// costs each verb two seconds. A verb that the server refuses, as an older one
// does that does not know it, is left out; any other error is the server's end.
func fetch(ctx context.Context, ask asker) (*snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	s := &snapshot{refused: map[string]string{}}
	requests := []struct {
		control.Request
		take func(data json.RawMessage) error
	}{
		{control.Request{Verb: control.VerbStatus}, whole(&s.status)},
		{control.Request{Verb: control.VerbMetrics}, parts(s.metrics.Add)},
		{control.Request{Verb: control.VerbConns, Limit: maxConns}, parts(s.addConns)},
		{control.Request{Verb: control.VerbTargets}, whole(&s.targets)},
		{control.Request{Verb: control.VerbCerts}, parts(s.certs.Add)},
		{control.Request{Verb: control.VerbLimits}, whole(&s.limits)},
	}
	errs, panics := make([]error, len(requests)), make([]any, len(requests))
	var all sync.WaitGroup
	for i := range requests {
		all.Go(func() {
			// A panic here would leave the terminal as it is: it goes on below.
			defer func() { panics[i] = recover() }()
			r := &requests[i]
			errs[i] = ask(ctx, &r.Request, func(_ string, data json.RawMessage) error { return r.take(data) })
		})
	}
	all.Wait()
	for i := range requests {
		if panics[i] != nil {
			panic(panics[i])
		}
		var f *control.Failed
		switch verb := requests[i].Verb; {
		case errs[i] == nil:
		case errors.As(errs[i], &f) && verb != control.VerbStatus:
			s.refused[verb] = f.Error()
		default:
			return nil, errs[i]
		}
	}
	s.at = time.Now()
	return s, nil
}

// whole reads an answer that is one part.
func whole(v any) func(json.RawMessage) error {
	return func(data json.RawMessage) error { return readable(json.Unmarshal(data, v)) }
}

// parts reads one that comes in several.
func parts[T any](add func(T)) func(json.RawMessage) error {
	return func(data json.RawMessage) error {
		var part T
		if err := json.Unmarshal(data, &part); err != nil {
			return readable(err)
		}
		add(part)
		return nil
	}
}

func readable(err error) error {
	if err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	return nil
}

func (s *snapshot) addConns(part control.Conns) {
	if len(s.conns.Clients) < maxConns {
		s.conns.Clients = append(s.conns.Clients, part.Clients...)
	}
	s.conns.More = part.More
}

// kill ends one client.
func kill(ctx context.Context, ask asker, id string) error {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	return ask(ctx, &control.Request{Verb: control.VerbKill, ID: id}, func(string, json.RawMessage) error { return nil })
}
