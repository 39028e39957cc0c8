// Command soak has very many clients come and go, and looks whether a netserver
// holds afterwards what it held before. See -h.
//
// Start reading at soak (soak.go); state.go says what is looked at.
package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"netserver/bench/command"
	"netserver/bench/honest"
)

const usage = `usage: soak [flags]

Starts netserver on loopback, with a supervisor and isolated keys, and has
clients connect, send a line, read it back and leave, as fast as it answers:
most of them over TCP, some over TLS, and some over TLS to a proxy that passes
them on to the TCP port, each of which is two connections of the server's. Then
its processes must hold as many descriptors and goroutines as before, but for a
few, and no more memory, but for -slack. Needs Linux and Go. The exit status is 1 if that is
not so, or a client failed.

`

// options are what the flags say.
type options struct {
	conns   int
	tls     float64 // share of them over TLS
	proxied float64 // and over TLS to the proxy
	slack   int     // MiB
	limit   time.Duration
	binary  string
}

func main() {
	command.Main("soak", run)
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := command.Flags("soak", usage, stderr)
	fs.IntVar(&o.conns, "conns", 1_000_000, "clients in all")
	fs.Float64Var(&o.tls, "tls", 0.1, "`share` of them that come over TLS, each with a full handshake")
	fs.Float64Var(&o.proxied, "proxied", 0.05, "`share` of them that come over TLS to the proxy")
	fs.IntVar(&o.slack, "slack", 8, "`MiB` by which the memory may have grown")
	fs.DurationVar(&o.limit, "limit", 9*time.Minute, "for the clients; those that have not come by then are said")
	fs.StringVar(&o.binary, "binary", "", "the netserver `program`; built without cgo by default")
	if err := command.Parse(fs, args); err != nil {
		return o, err
	}
	return o, o.check()
}

func (o options) check() error {
	switch {
	case o.conns < 100 || o.conns > honest.MaxClients:
		return fmt.Errorf("-conns %d: must be from 100 to %d", o.conns, honest.MaxClients)
	case o.tls < 0 || o.proxied < 0 || o.tls+o.proxied > 1:
		return fmt.Errorf("-tls %v -proxied %v: shares must be from 0 to 1, together too", o.tls, o.proxied)
	case o.slack < 0 || o.slack > 1024:
		return fmt.Errorf("-slack %d: must be from 0 to 1024", o.slack)
	case o.limit < time.Second || o.limit > honest.MaxDuration:
		return fmt.Errorf("-limit %v: must be from 1s to %v", o.limit, honest.MaxDuration)
	}
	return nil
}

// run makes the measurement, prints it, and returns what is wrong with it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	r, err := soak(ctx, o, stderr)
	if err != nil {
		return err
	}
	r.print(stdout)
	return r.verdict()
}
