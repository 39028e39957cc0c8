package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"netserver/bench/peers"
	"netserver/bench/stats"
)

// Classes of servers; those of one class do the same work.
const (
	inProcess = "in-process" // the server answers itself
	proxied   = "proxied"    // it passes bytes on to a backend
	program   = "program"    // it gives each client to cat
)

// Names that rows and aims refer to.
const (
	bareEcho    = "bare"
	bareProxy   = "bare-proxy"
	bareProgram = "bare-program"
	library     = "netserver-library"
	one         = "netserver-one"
	whole       = "netserver"
	isolated    = "netserver-isolated"
	prefork     = "netserver-prefork"
	oursProxy   = "netserver-proxy"
	oursProxyIs = "netserver-proxy-isolated"
)

// A contestant is a server that is measured.
type contestant struct {
	name, title, class string
	peer, bare         bool // of other people, or a loop written by hand; else netserver
	processes          bool // one for each client, so that it cannot hold thousands
	missing            string
	command            func(k kit, at peers.Place) (*exec.Cmd, error)
}

// A kit is what contestants are started from.
type kit struct{ netserver, serve string } // programs

// build makes the programs in dir.
func build(ctx context.Context, dir string) (kit, error) {
	k := kit{filepath.Join(dir, "netserver"), filepath.Join(dir, "serve")}
	return k, errors.Join(peers.Build(ctx, "cmd/netserver", k.netserver), peers.Build(ctx, "bench/serve", k.serve))
}

func contestants() []contestant {
	prefork80 := []string{"PreFork", "--min_servers", "20", "--max_servers", "80", "--min_spare_servers", "10", "--max_spare_servers", "40", "--max_requests", "1000000"}
	shared := []string{"--key_isolation", "0"}
	separate := []string{"--key_isolation", "1"}
	all := []contestant{
		{name: bareEcho, title: "loop written by hand", class: inProcess, bare: true, command: loop(true)},
		{name: library, title: "netserver, as a library", class: inProcess, command: asLibrary},
		{name: one, title: "netserver, one process", class: inProcess, command: ours(single(), false)},
		{name: whole, title: "netserver, with a supervisor", class: inProcess, command: ours(shared, false)},
		{name: isolated, title: "netserver, isolated keys", class: inProcess, command: oursTLS(separate, false)},
		{name: prefork, title: "netserver PreFork", class: inProcess, processes: true, command: ours(append(prefork80, shared...), false)},
		{name: bareProxy, title: "proxy written by hand", class: proxied, bare: true, command: loop(false)},
		{name: oursProxy, title: "netserver, proxy", class: proxied, command: ours(shared, true)},
		{name: oursProxyIs, title: "netserver, proxy, isolated keys", class: proxied, command: oursTLS(separate, true)},
		{name: bareProgram, title: "loop that starts cat", class: program, bare: true, command: loop(true)},
		{name: "netserver-program", title: "netserver -- cat", class: program, command: ours(shared, false)},
		{name: "netserver-spare", title: "netserver, exec_spare", class: program, command: ours(append([]string{"--exec_spare", "16"}, shared...), false)},
	}
	for _, p := range peers.All() {
		c := contestant{name: p.Name, title: p.Title, class: inProcess, peer: true, missing: p.Missing(), processes: p.Name == "net-server"}
		c.command = func(_ kit, at peers.Place) (*exec.Cmd, error) { return p.Command(at) }
		if p.Proxy {
			c.class = proxied
		}
		all = append(all, c)
		if p.Can&(peers.CanProgram|peers.CanProgramTLS) != 0 {
			c.name, c.title, c.class = p.Name+"-program", p.Title+", cat", program
			all = append(all, c)
		}
	}
	return all
}

// loop returns what starts a loop written by hand.
func loop(echo bool) func(k kit, at peers.Place) (*exec.Cmd, error) {
	return func(k kit, at peers.Place) (*exec.Cmd, error) {
		kind := "echo"
		switch {
		case at.Datagram && !echo:
			return nil, errors.ErrUnsupported
		case !echo:
			kind = "proxy"
		case at.Program:
			kind = "program"
		case at.Datagram:
			kind = "packets"
		case at.Web != "":
			kind = "http"
		case at.Source:
			kind = "source"
		}
		return serveCommand(k, at, kind), nil
	}
}

func serveCommand(k kit, at peers.Place, kind string) *exec.Cmd {
	args := []string{"-port", strconv.Itoa(int(at.Port)), "-to", fmt.Sprintf("127.0.0.1:%d", at.Backend), "-dir", at.Web, "-socket", at.Socket}
	if !at.Plain && !at.Datagram {
		args = append(args, "-cert", at.CertFile, "-key", at.KeyFile)
	}
	return exec.Command(k.serve, append(args, kind)...)
}

func asLibrary(k kit, at peers.Place) (*exec.Cmd, error) {
	switch {
	case at.Source:
		return serveCommand(k, at, "engine-source"), nil
	case at.Web != "":
		return serveCommand(k, at, "engine-http"), nil
	case at.Datagram:
		return nil, errors.ErrUnsupported
	}
	return serveCommand(k, at, "engine-echo"), nil
}

// single are the keys of a netserver without a supervisor.
func single() []string {
	if os.Geteuid() == 0 {
		return []string{"--supervisor", "0", "--user", "root"}
	}
	return []string{"--supervisor", "0"}
}

// ours returns what starts the command netserver with some keys.
func ours(keys []string, proxy bool) func(k kit, at peers.Place) (*exec.Cmd, error) {
	return func(k kit, at peers.Place) (*exec.Cmd, error) {
		if at.Source && !proxy || at.Web != "" && keys[0] == "PreFork" {
			return nil, errors.ErrUnsupported // it has no such handler, or it is another type
		}
		proto := "ssl"
		switch {
		case at.Datagram:
			proto = "udp"
		case at.Plain:
			proto = "tcp"
		}
		var args []string
		if at.Web != "" {
			args = append(args, "HTTP", "--server_type", "Fork")
		}
		plain := proto != "ssl"
		for i := 0; i < len(keys); i++ {
			if keys[i] == "--key_isolation" && plain { // has no effect then, and is refused
				i++
				continue
			}
			args = append(args, keys[i])
		}
		if at.Socket != "" {
			args = append(args, "--port", at.Socket+"|unix")
		} else {
			args = append(args, "--host", "127.0.0.1", "--port", fmt.Sprintf("%d/%s", at.Port, proto))
		}
		if !plain {
			args = append(args, "--SSL_cert_file", at.CertFile, "--SSL_key_file", at.KeyFile)
		}
		switch {
		case proxy:
			args = append(args, "--proxy_to", fmt.Sprintf("127.0.0.1:%d", at.Backend))
		case at.Web != "":
			args = append(args, "--http_root", at.Web)
		case at.Program:
			args = append(args, "--", "/bin/cat")
		default:
			args = append(args, "--echo", "raw")
		}
		return exec.Command(k.netserver, args...), nil
	}
}

// oursTLS is ours for keys that mean something with TLS only.
func oursTLS(keys []string, proxy bool) func(k kit, at peers.Place) (*exec.Cmd, error) {
	start := ours(keys, proxy)
	return func(k kit, at peers.Place) (*exec.Cmd, error) {
		if at.Plain || at.Datagram || at.Socket != "" {
			return nil, errors.ErrUnsupported
		}
		return start(k, at)
	}
}

// refused says why a netserver would not start, or nothing: a key that this
// version does not have yet must not end the run.
func (c contestant) refused(k kit, cmd *exec.Cmd) string {
	if c.peer || c.bare || cmd.Path != k.netserver {
		return ""
	}
	check := exec.Command(cmd.Path, checkArguments(cmd.Args[1:])...)
	var said bytes.Buffer
	check.Stderr = &said
	if err := check.Run(); err != nil {
		return fmt.Sprintf("this netserver refuses it: %s", stats.FirstLine(said.String()))
	}
	return ""
}

// checkArguments adds --check, which must stand before a program and after a
// type.
func checkArguments(args []string) []string {
	for i, a := range args {
		if a[0] == '-' {
			return append(append(append([]string(nil), args[:i]...), "--check"), args[i:]...)
		}
	}
	return append([]string{"--check"}, args...)
}
