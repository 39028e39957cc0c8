package daemon

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"netserver/conf"
	"netserver/port"
)

// resolvePorts makes the ports of c from the keys and from the [[listen]]
// blocks of a TOML file. It returns lines for the log on how they were
// understood.
func (c *Config) resolvePorts(ctx context.Context, res *conf.Result, environ map[string]string) ([]string, error) {
	specs, notes, err := port.Resolve(ctx, c.portInput(res, environ), nil)
	if err != nil {
		return nil, err
	}
	c.Server.Ports = specs
	lines := make([]string, len(notes))
	for i, n := range notes {
		lines[i] = n.Text
	}
	return lines, nil
}

// readPorts is resolvePorts for type INET, which opens none: a port that is
// given says what its client speaks.
func (c *Config) readPorts(res *conf.Result, environ map[string]string) error {
	specs, err := port.Read(c.portInput(res, environ))
	if err == nil && len(specs) > 0 {
		c.Server.Ports = specs
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
	if n := len(c.ports.unixTypes); n > 0 {
		in.UnixType = c.ports.unixTypes[n-1]
	}
	for _, b := range res.Blocks {
		in.Ports = append(in.Ports, blockEntries(b)...)
	}
	return in
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

// blockEntries makes an entry of each port that a block names; they share its
// other keys.
func blockEntries(b conf.Block) []port.Entry {
	var entries []port.Entry
	for _, p := range b.Values["port"] {
		m := maps.Clone(b.Values)
		m["port"] = []conf.Value{p}
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
