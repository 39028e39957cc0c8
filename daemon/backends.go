package daemon

import (
	"errors"
	"fmt"
	"slices"

	"netserver/conf"
	"netserver/handler/proxy"
)

// tableBackend is the name of the tables that backends are written as.
const tableBackend = "backend"

// A backendConfig is one [[backend]]: targets under a name, which ports and
// routes share. What it does not say itself the keys of the whole server say.
type backendConfig struct {
	Name    string
	Targets []string
	Dial    DialConfig

	at conf.Origin
}

// define defines the keys of a [[backend]].
func (b *backendConfig) define(s *conf.Set) {
	s.Define(conf.Key{Name: "name", When: conf.Always, Required: true, Arg: "NAME", Help: "by which ports and routes name it: backend = NAME"}, conf.String(&b.Name))
	s.Define(conf.Key{Name: "targets", When: conf.Always, Required: true, Arg: "TARGET", List: true, Help: "host:port, or a UNIX socket's path; several share the clients, each in its turn"}, conf.Strings(&b.Targets))
	b.Dial.define(func(k conf.Key, bind conf.Binder) {
		k.Inherits = true
		s.Define(k, bind)
	})
}

// backends are the [[backend]] tables of a configuration.
type backends struct {
	list []*backendConfig
	made map[string]*proxy.Backend // by name
}

// backendConfigs reads the [[backend]] tables. The error joins all that is
// wrong with them.
func (c *Config) backendConfigs(res *conf.Result) ([]*backendConfig, error) {
	var list []*backendConfig
	var errs []error
	for _, block := range res.Tables[tableBackend] {
		b := &backendConfig{Dial: c.Handler.Dial, at: block.Origin}
		if err := block.Read(b.define); err != nil {
			errs = append(errs, err)
			continue
		}
		if i := slices.IndexFunc(list, func(o *backendConfig) bool { return o.Name == b.Name }); i >= 0 {
			errs = append(errs, located(fmt.Errorf("a [[backend]] named %q is there already, at %s", b.Name, list[i].at.Place()), b.at))
			continue
		}
		list = append(list, b)
	}
	return list, errors.Join(errs...)
}

// readBackends makes the backends of a configuration.
func (c *Config) readBackends(res *conf.Result) (*backends, error) {
	list, err := c.backendConfigs(res)
	all := &backends{list: list, made: make(map[string]*proxy.Backend)}
	errs := []error{err}
	for _, b := range list {
		made, err := b.backend()
		if err != nil {
			errs = append(errs, located(err, b.at))
			continue
		}
		all.made[b.Name] = made
	}
	return all, errors.Join(errs...)
}

// backend makes a backend.
func (b *backendConfig) backend() (*proxy.Backend, error) {
	made := &proxy.Backend{Name: b.Name, ConnectTimeout: b.Dial.ConnectTimeout}
	for _, t := range b.Targets {
		made.Targets = append(made.Targets, proxy.Target{Address: t})
	}
	return made, (&proxy.Handler{Backend: made}).Check()
}

// A target is an address that clients are connected to, and the key that names
// it.
type target struct{ key, address string }

// targets returns every target that the configuration names.
func (p *program) targets() (list []target) {
	if p.library {
		return nil
	}
	for _, to := range p.conf.services.proxyTargets() {
		list = append(list, target{keyProxyTo, to})
	}
	backends, _ := p.conf.backendConfigs(p.res) // what is wrong with them has been said
	for _, b := range backends {
		for _, to := range b.Targets {
			list = append(list, target{"the [[backend]] " + b.Name, to})
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

// unusedBackends warns of backends that no client comes to.
func (c *Config) unusedBackends(res *conf.Result) (warnings []string) {
	list, err := c.backendConfigs(res)
	if err != nil || c.services.faulty {
		return nil // which is reported
	}
	used := make(map[string]bool)
	for _, s := range c.services.used() {
		if s.byName() {
			used[s.Backend] = true
		}
	}
	for _, one := range list {
		if !used[one.Name] {
			warnings = append(warnings, located(fmt.Errorf("no port and no route has the [[backend]] named %q", one.Name), one.at).Error())
		}
	}
	return warnings
}
