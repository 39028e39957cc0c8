package daemon

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"netserver/conf"
	"netserver/daemon/internal/serving"
	"netserver/internal/identity"
	"netserver/port"
)

// resolvePorts makes the ports of c from the keys and from the [[listen]]
// blocks of a TOML file. It returns lines for the log on how they were
// understood.
func (c *Config) resolvePorts(ctx context.Context, res *conf.Result, environ map[string]string) ([]string, error) {
	in := c.portInput(res, environ)
	if err := c.pairTargets(&in, res); err != nil {
		return nil, err
	}
	specs, notes, err := port.Resolve(ctx, in, nil)
	if err != nil {
		return nil, err
	}
	c.Server.Ports = specs
	c.partParams(res)
	lines := make([]string, len(notes))
	for i, n := range notes {
		lines[i] = n.Text
	}
	return lines, nil
}

// readPorts is resolvePorts for type INET, which opens none: a port that is
// given says what its client speaks.
func (c *Config) readPorts(res *conf.Result, environ map[string]string) error {
	in := c.portInput(res, environ)
	if err := c.pairTargets(&in, res); err != nil {
		return err
	}
	specs, err := port.Read(in)
	if err == nil && len(specs) > 0 {
		c.Server.Ports = specs
		c.partParams(res)
	}
	return err
}

// portInput is what the keys and the blocks say of ports.
func (c *Config) portInput(res *conf.Result, environ map[string]string) port.Input {
	in := port.Input{
		Ports:  port.Texts(c.ports.ports),
		Hosts:  c.ports.hosts,
		Protos: c.ports.protos,
		IPvs:   c.ports.ipvs,
		// Net::Server's own variables, for those who have them set.
		EnvIPv: environ["IPV"],
		NoIPv6: environ["NO_IPV6"] != "" && environ["NO_IPV6"] != "0",
	}
	if c.handler.Web.HTTP {
		in.DefaultPort = "80"
		if !identity.IsRoot() {
			in.DefaultPort = "8080"
		}
	}
	if n := len(c.ports.unixTypes); n > 0 {
		in.UnixType = c.ports.unixTypes[n-1]
	}
	for i, b := range res.Blocks {
		in.Ports = append(in.Ports, blockEntries(i, b, sharesLine(res.Blocks, b))...)
	}
	return in
}

// blockParam is a port's own "key" that says which [[listen]] block it is from,
// if that has tables or shares its line with another. It is none that can be
// given.
const blockParam = "[[listen]]"

// partParams takes what a port has for its handler out of its parameters, which
// are the engine's.
func (c *Config) partParams(res *conf.Result) {
	keys := make(map[string]bool)
	for _, k := range serving.Keys() {
		keys[k.Name] = true
	}
	c.own, c.blockOf = make([]conf.Block, len(c.Server.Ports)), make([]int, len(c.Server.Ports))
	for i := range c.Server.Ports {
		p, own := &c.Server.Ports[i], make(conf.Values)
		b := conf.Block{Origin: p.Origin}
		c.blockOf[i] = slices.IndexFunc(res.Blocks, func(o conf.Block) bool { return o.Origin == p.Origin })
		for key, vals := range p.Params {
			switch {
			case key == blockParam:
				c.blockOf[i], _ = strconv.Atoi(vals[0].Text)
				b.Tables = res.Blocks[c.blockOf[i]].Tables
			case keys[key]:
				own[key] = vals
			default:
				continue
			}
			delete(p.Params, key)
		}
		if len(own) > 0 {
			b.Values = own
		}
		if len(p.Params) == 0 {
			p.Params = nil
		}
		c.own[i] = b
	}
}

// pairTargets gives each port its target, where there are several: the n-th
// proxy_to goes with the n-th port.
func (c *Config) pairTargets(in *port.Input, res *conf.Result) error {
	vals := res.Given()[serving.KeyProxyTo]
	if len(vals) < 2 {
		return nil
	}
	n := len(c.ports.ports)
	if len(in.Ports) == 0 {
		n = 1 // the default port
	}
	if len(vals) != n {
		return &conf.Problem{Key: serving.KeyProxyTo, Origin: vals[len(vals)-1].Origin,
			Err:  fmt.Errorf("there are %d targets for %d ports: the n-th goes with the n-th port", len(vals), n),
			Hint: "give one for all ports, or one for each; " + serving.SeveralTargets}
	}
	for i := range vals {
		in.Ports[i].Params = conf.Values{serving.KeyProxyTo: vals[i : i+1]}
	}
	return nil
}

// resolveServices reads what serves the clients of each port.
func (c *Config) resolveServices(res *conf.Result) error {
	s, err := serving.Resolve(serving.Input{Config: c.handler, Result: res, Program: c.Program, Ports: c.Server.Ports, Own: c.own, Events: c.Type == typeMultiplex})
	c.services = *s
	return err
}

// handlerName says in a few words what serves the clients.
func (c *Config) handlerName(library bool) string {
	if library {
		return "handler"
	}
	return c.services.Name()
}

// unusedParts warns of hosts, protocols and families that serve no port: whoever
// gives 127.0.0.1 beside *:80 may think that others cannot come in.
func (c *Config) unusedParts(res *conf.Result, environ map[string]string) (warnings []string) {
	if c.Type == typeINET {
		return nil
	}
	for _, u := range port.FindUnused(c.portInput(res, environ)) {
		why, hint := "there are fewer ports", "give each port its own, as in HOST:PORT/PROTO, or leave it out"
		if u.Port != "" {
			why, hint = "port "+u.Port+" says itself where and how it listens", "write it into the port, or leave it out"
		}
		p := u.Value.Errorf("%s has no effect: %s", u.Value.Text, why)
		p.Key, p.Hint = u.Key, hint
		warnings = append(warnings, p.Error())
	}
	return warnings
}

// sharesLine reports whether another block begins on b's line.
func sharesLine(blocks []conf.Block, b conf.Block) bool {
	n := 0
	for _, o := range blocks {
		if o.Origin == b.Origin {
			n++
		}
	}
	return n > 1
}

// blockEntries makes an entry of each port that a block names; they share its
// other keys.
func blockEntries(nth int, b conf.Block, marked bool) []port.Entry {
	var entries []port.Entry
	for _, p := range b.Values["port"] {
		m := maps.Clone(b.Values)
		m["port"] = []conf.Value{p}
		if len(b.Tables) > 0 || marked {
			m[blockParam] = []conf.Value{{Text: strconv.Itoa(nth), Origin: b.Origin}}
		}
		entries = append(entries, port.Entry{Map: m, Origin: b.Origin})
	}
	return entries
}

// variables makes a map of an environment, as os.Environ returns it.
func variables(environ []string) map[string]string {
	m := make(map[string]string, len(environ))
	for _, v := range environ {
		if name, value, ok := strings.Cut(v, "="); ok {
			m[name] = value
		}
	}
	return m
}

// checkBacklog finds a listen that was hardly meant as a backlog: where nobody
// has named a port, it is taken for one easily, and another would be opened.
func (c *Config) checkBacklog(res *conf.Result, unnamed bool) error {
	vals := res.Given()["listen"]
	if !unnamed || len(vals) == 0 {
		return nil
	}
	v := vals[len(vals)-1]
	n, err := strconv.Atoi(v.Text)
	if err != nil || n < 1024 {
		return nil // a backlog that somebody may want
	}
	p := v.Errorf("listen %d is how many connections may wait to be accepted, and no port is named", n)
	p.Key = "listen"
	p.Hint = "write --port " + v.Text + " if that is the port, or name a port beside it"
	return p
}

// emptyFile refuses a conf file without a key if nothing else names a port: the
// file was cut short, and the default port is not what it was for.
func emptyFile(c *Config, res *conf.Result, unnamed bool) error {
	name := c.confFile
	if name == "" || res.FileKeys > 0 || !unnamed {
		return nil
	}
	return fmt.Errorf("conf_file: %s sets no key, and no port is configured elsewhere; add a port to it, or give --port", name)
}
