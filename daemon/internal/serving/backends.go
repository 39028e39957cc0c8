package serving

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"netserver/handler/proxy"
)

// TableBackend is the name of the tables that backends are written as.
const TableBackend = "backend"

// backends are the [[backend]] tables of a configuration.
type backends struct {
	list []*backendConfig
	made map[string]*proxy.Backend // by name
	own  []*proxy.Backend          // of proxy_to
}

// backendConfigs reads the [[backend]] tables. The error joins all that is
// wrong with them.
func (s *Services) backendConfigs() ([]*backendConfig, error) {
	var list []*backendConfig
	var errs []error
	if s.in.Result == nil {
		return nil, nil // of a Config that was not read from keys
	}
	for _, block := range s.in.Result.Tables[TableBackend] {
		b := &backendConfig{Dial: s.in.Config.Dial, at: block.Origin}
		if err := block.Read(b.define); err != nil {
			errs = append(errs, err)
			continue
		}
		b.values = block.Values
		if err := b.check(); err != nil {
			errs = append(errs, err)
			b.faulty = true
		}
		if i := slices.IndexFunc(list, func(o *backendConfig) bool { return o.Name == b.Name }); i >= 0 {
			errs = append(errs, located(fmt.Errorf("a [[backend]] named %q is there already, at %s", b.Name, list[i].at.Place()), b.at))
			continue
		}
		list = append(list, b)
	}
	return list, errors.Join(errs...)
}

// readBackends makes the backends of a configuration. With here, files are where
// their names say.
func (m *maker) readBackends(here bool) (*backends, error) {
	list, err := m.s.backendConfigs()
	all := &backends{list: list, made: make(map[string]*proxy.Backend)}
	errs := []error{err}
	for _, b := range list {
		if b.faulty {
			continue
		}
		made, err := m.backend(b, here)
		if err != nil {
			errs = append(errs, located(err, b.at))
			continue
		}
		all.made[b.Name] = made
	}
	return all, errors.Join(errs...)
}

// backend makes a backend. With here, files are where their names say; else those
// of targets are below a root directory, and are read later.
func (m *maker) backend(b *backendConfig, here bool) (*proxy.Backend, error) {
	made := &proxy.Backend{
		Name: b.Name, Targets: b.Targets, TargetsFile: b.TargetsFile, Balance: b.Balance, Check: b.Check,
		SlowStart: b.SlowStart, Queue: b.Queue, QueueTime: b.QueueTime, Resolve: b.Resolve,
		ConnectTimeout: b.Dial.ConnectTimeout,
	}
	var err error
	if made.Header, err = b.Dial.header(); err != nil {
		return nil, fmt.Errorf("the [[backend]] %s: %w", b.Name, err)
	}
	targets := make([]string, len(b.Targets))
	for i, t := range b.Targets {
		targets[i] = t.Address
	}
	made.Bind = m.bind(&b.Dial)
	made.StartTLS, made.MySQL = b.Dial.startTLS(), b.Dial.mysql()
	if made.TLS, err = m.overTLS(&b.Dial, "backend "+b.Name, targets...); err != nil {
		return nil, fmt.Errorf("the [[backend]] %s: %w", b.Name, err)
	}
	if b.TargetsFile != "" && !here {
		return made, nil
	}
	return made, (&proxy.Handler{Backend: made}).Check()
}

// logTo has the backends tell log of targets that go down and come back. It is
// called before any client comes.
func (b *backends) logTo(log *slog.Logger) {
	if b == nil {
		return
	}
	for _, one := range b.made {
		one.Log = log
	}
	for _, one := range b.own {
		one.Log = log
	}
}

// all returns the backends in the order of the configuration.
func (b *backends) all() (list []*proxy.Backend) {
	if b == nil {
		return nil
	}
	for _, one := range b.list {
		if made := b.made[one.Name]; made != nil {
			list = append(list, made)
		}
	}
	return list
}

// TargetsFiles returns the files of targets that are in the configuration.
func (s *Services) TargetsFiles() (list []string) {
	backends, _ := s.backendConfigs() // what is wrong with them has been said
	for _, b := range backends {
		if b.TargetsFile != "" {
			list = append(list, b.TargetsFile)
		}
	}
	return list
}

// A Target is an address that clients are connected to, and the key that names
// it.
type Target struct{ Key, Address string }

// Targets returns every target that the configuration names.
func (s *Services) Targets() (list []Target) {
	for _, to := range s.proxyTargets() {
		list = append(list, Target{KeyProxyTo, to})
	}
	backends, _ := s.backendConfigs()
	for _, b := range backends {
		for _, to := range b.Targets {
			list = append(list, Target{"the [[backend]] " + b.Name, to.Address})
		}
	}
	return list
}

// names returns the names of all backends.
func (b *backends) names() []string {
	names := make([]string, len(b.list))
	for i, one := range b.list {
		names[i] = one.Name
	}
	return names
}

// UnusedBackends warns of backends that no client comes to.
func (s *Services) UnusedBackends() (warnings []string) {
	list, err := s.backendConfigs()
	if err != nil || s.faulty {
		return nil // which is reported
	}
	used := make(map[string]bool)
	for _, one := range s.Used() {
		if one.byName() {
			used[one.Backend] = true
		}
	}
	for _, b := range list {
		if !used[b.Name] {
			warnings = append(warnings, located(fmt.Errorf("no port and no route has the [[backend]] named %q", b.Name), b.at).Error())
		}
	}
	return warnings
}
