package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"

	"netserver"
	"netserver/bench/bare"
	"netserver/conf"
	"netserver/daemon"
	"netserver/handler/echo"
	"netserver/handler/proxy"
	"netserver/port"
)

// The servers of this program itself.
const (
	kindEngine = "engine" // netserver, in one process
	kindWhole  = "whole"  // netserver as the command is: supervisor, workers, isolated keys
	kindBare   = "bare"   // accept, a goroutine a client, crypto/tls, io.Copy
	kindClose  = "close"  // accept and close
	kindPlain  = "plain"  // echo without TLS: the backend of all proxies
)

// A serverRole is a server on 127.0.0.1.
type serverRole struct {
	Kind      string
	Port      uint16
	CertFile  string
	KeyFile   string
	Timeout   int      // of a handshake, in seconds; of kindEngine
	ProxyTo   string   // of kindEngine; it echoes itself if empty
	Arguments []string // of kindEngine: keys, as on the command line
}

func (r *serverRole) serve(ctx context.Context) error {
	switch r.Kind {
	case kindEngine:
		return r.engine(ctx)
	case kindWhole:
		return r.whole()
	}
	l, err := net.Listen("tcp", r.address())
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	switch r.Kind {
	case kindPlain:
		bare.Loop(l, bare.Echo)
	case kindClose:
		bare.Loop(l, nil)
	case kindBare:
		if l, err = bare.TLS(l, r.CertFile, r.KeyFile); err != nil {
			return err
		}
		bare.Loop(l, bare.Echo)
	default:
		return fmt.Errorf("no server %q", r.Kind)
	}
	return nil
}

func (r *serverRole) address() string { return "127.0.0.1:" + strconv.Itoa(int(r.Port)) }

func (r *serverRole) engine(ctx context.Context) error {
	s := &netserver.Server{Handler: &echo.Handler{Raw: true}, Log: slog.New(slog.DiscardHandler)}
	if r.ProxyTo != "" {
		s.Handler = &proxy.Handler{Target: r.ProxyTo}
	}
	args := append([]string{
		"--SSL_cert_file", r.CertFile, "--SSL_key_file", r.KeyFile,
		"--timeout_handshake", strconv.Itoa(r.Timeout),
	}, r.Arguments...)
	if err := readKeys(&s.Config, args); err != nil {
		return err
	}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: strconv.Itoa(int(r.Port)), Proto: "ssl", IPv: "4"}}
	s.Config.Shutdown.Grace = -1
	return s.ListenAndServe(ctx)
}

// whole is the command netserver, whose workers come here too.
func (r *serverRole) whole() error {
	args := append([]string{
		"--host", "127.0.0.1", "--port", strconv.Itoa(int(r.Port)) + "/ssl", "--echo", "raw", "--log_level", "1", "--grace", "0",
		"--SSL_cert_file", r.CertFile, "--SSL_key_file", r.KeyFile,
		"--timeout_handshake", strconv.Itoa(r.Timeout),
	}, r.Arguments...)
	if code := daemon.Command(args, os.Environ(), io.Discard, os.Stderr); code != 0 {
		return fmt.Errorf("exit status %d", code)
	}
	return nil
}

// readKeys sets c as the command's arguments would.
func readKeys(c *netserver.Config, args []string) error {
	var set conf.Set
	c.Define(&set)
	_, err := set.Resolve(set.ReadArgs(args).Layer)
	return err
}

// hasKey reports whether the engine knows a key.
func hasKey(name string) bool {
	var c netserver.Config
	var set conf.Set
	c.Define(&set)
	_, ok := set.Lookup(name)
	return ok
}
