package main

import (
	"fmt"
	"os/exec"

	"netserver/bench/peers"
)

// A target is a server that is attacked.
type target struct {
	name, title string
	peer        bool // of other people
	extra       bool // only where an attack or the user names it
	missing     func() string
	command     func(p peers.Place) (*exec.Cmd, error)
	plain       bool // it speaks no TLS
}

// Names that attacks and verdicts refer to.
const (
	ours      = "netserver"
	oursProxy = "netserver-proxy"
	oursWhole = "netserver-whole"
	oursOff   = "netserver-off"
	oursDeny  = "netserver-deny"
	bareLoop  = "bare"
	bareClose = "accept-close"
)

func targets() []target {
	all := []target{
		{name: ours, title: "netserver, echo", command: engine(nil)},
		{name: oursWhole, title: "netserver, the command", command: whole},
		{name: oursProxy, title: "netserver, proxy", command: engineProxy},
		{name: bareLoop, title: "bare crypto/tls loop", command: own(kindBare)},
	}
	for _, p := range peers.All() {
		all = append(all, target{name: p.Name, title: p.Title, peer: true, missing: p.Missing, command: p.Command})
	}
	return append(all,
		target{name: oursOff, title: "netserver, handshake_queue none", extra: true, missing: noQueue, command: engine([]string{"--handshake_queue", "none"})},
		target{name: oursDeny, title: "netserver, the attacker denied", extra: true, command: engine([]string{"--cidr_allow", "127.0.0.0/8", "--cidr_deny", "127.64.0.0/12"})},
		target{name: bareClose, title: "bare accept and close", extra: true, plain: true, command: own(kindClose)},
	)
}

func noQueue() string {
	if !hasKey("handshake_queue") {
		return "this netserver has no handshake_queue"
	}
	return ""
}

func own(kind string) func(p peers.Place) (*exec.Cmd, error) {
	return func(p peers.Place) (*exec.Cmd, error) {
		return role{Server: &serverRole{Kind: kind, Port: p.Port, CertFile: p.CertFile, KeyFile: p.KeyFile}}.command()
	}
}

func engine(args []string) func(p peers.Place) (*exec.Cmd, error) {
	return func(p peers.Place) (*exec.Cmd, error) { return engineCommand(p, "", args) }
}

func engineProxy(p peers.Place) (*exec.Cmd, error) {
	return engineCommand(p, fmt.Sprintf("127.0.0.1:%d", p.Backend), nil)
}

func whole(p peers.Place) (*exec.Cmd, error) {
	return role{Server: &serverRole{
		Kind: kindWhole, Port: p.Port, CertFile: p.CertFile, KeyFile: p.KeyFile, Timeout: p.Timeout,
	}}.command()
}

func engineCommand(p peers.Place, to string, args []string) (*exec.Cmd, error) {
	return role{Server: &serverRole{
		Kind: kindEngine, Port: p.Port, CertFile: p.CertFile, KeyFile: p.KeyFile,
		Timeout: p.Timeout, ProxyTo: to, Arguments: args,
	}}.command()
}
