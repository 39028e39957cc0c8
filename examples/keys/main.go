// Command keys is a server with keys of its own beside the engine's: both come
// from the command line, the environment (NETSERVER_GREETING) and the file of
// --conf_file, and both stand in --help.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"netserver"
	"netserver/conf"
	"netserver/port"
)

type config struct {
	netserver.Config
	greeting string
	ports    []conf.Value
}

func (c *config) define(s *conf.Set) {
	var file string
	s.Define(conf.Key{Name: "greeting", Group: "greeter", Arg: "TEXT", Default: "Hello", Help: "what clients read first"}, conf.String(&c.greeting))
	s.Define(conf.Key{Name: "port", Group: "greeter", Arg: "PORT", List: true, Help: "port to listen on"}, conf.Raw(&c.ports))
	s.Define(conf.Key{Name: "conf_file", Group: "greeter", Arg: "FILE", Help: "file of keys and values"}, conf.String(&file))
	c.Config.Define(s)
}

func (c *config) greet(_ context.Context, conn *netserver.Conn) error {
	_, err := fmt.Fprintf(conn, "%s, client %d\n", c.greeting, conn.ID())
	return err
}

func run(ctx context.Context) error {
	var c config
	set := new(conf.Set)
	c.define(set)
	args := set.ReadArgs(os.Args[1:])
	if args.Help {
		return set.Help(os.Stdout)
	}
	_, err := set.Resolve(set.WithConfFile([]conf.Layer{args.Layer, set.ReadEnv(os.Environ())})...)
	if err != nil {
		return err // every problem, each with its place
	}
	c.Ports, _, err = port.Resolve(ctx, port.Input{Ports: port.Texts(c.ports)}, nil)
	if err != nil {
		return err
	}
	s := &netserver.Server{Handler: netserver.HandlerFunc(c.greet), Config: c.Config}
	return s.ListenAndServe(ctx)
}

func main() {
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
