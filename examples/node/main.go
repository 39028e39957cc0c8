// Command node is a server in the manner of munin-node, and reads a file such
// as munin-node.conf: keys of the server, keys of its own, and others, which
// it hands to what it calls.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/daemon"
)

// A node is what the program's own keys come to.
type node struct {
	name     string
	timeout  time.Duration
	patterns []string
	ignore   []*regexp.Regexp
	settings []conf.Entry // for the plugins
}

var plugins = []string{"cpu", "memory", "memory.bak", "users~"}

func (n *node) keys(s *conf.Set) {
	*n = node{}
	define := func(name, arg, def, help string, list bool, b conf.Binder) {
		s.Define(conf.Key{Name: name, Group: "node", Arg: arg, Default: def, List: list, Help: help}, b)
	}
	define("host_name", "NAME", "localhost", "what the node calls itself", false, conf.String(&n.name))
	define("global_timeout", "SECONDS", "900", "for a whole visit", false, conf.Seconds(&n.timeout, time.Second, 24*time.Hour))
	define("ignore_file", "REGEX", "", "plugins that are left out", true, conf.Strings(&n.patterns))
}

func (n *node) configured(res *conf.Result) error {
	var errs []error
	for _, v := range res.Get("ignore_file") {
		re, err := regexp.Compile(v.Text)
		if err != nil {
			errs = append(errs, v.Errorf("%v", err)) // with its file and line
			continue
		}
		n.ignore = append(n.ignore, re)
	}
	n.settings = res.Leftover
	return errors.Join(errs...)
}

func (n *node) ignored(plugin string) bool {
	return slices.ContainsFunc(n.ignore, func(re *regexp.Regexp) bool { return re.MatchString(plugin) })
}

func (n *node) serve(ctx context.Context, c *netserver.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	fmt.Fprintf(c, "# munin node at %s\n", n.name)
	for {
		line, err := c.ReadLine()
		if err != nil {
			return err
		}
		switch string(line) {
		case "list":
			fmt.Fprintln(c, strings.Join(slices.DeleteFunc(slices.Clone(plugins), n.ignored), " "))
		case "settings":
			for _, e := range n.settings {
				for _, v := range e.Values {
					fmt.Fprintf(c, "%s %s (%s)\n", e.Key, v.Text, v.Origin)
				}
			}
			fmt.Fprintln(c, ".")
		case "quit", ".":
			return nil
		default:
			fmt.Fprintln(c, "# Unknown command. Try list, settings or quit")
		}
	}
}

func main() {
	n := new(node)
	s := &netserver.Server{Handler: netserver.HandlerFunc(n.serve)}
	h := daemon.Hooks{Keys: n.keys, Configured: n.configured}
	// The file has settings for plugins; the command line has not.
	c := daemon.Config{UnknownKeys: conf.KeepInFiles}
	if err := daemon.Run(context.Background(), s, c, h, daemon.Layers(os.Args[1:], os.Environ())...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
