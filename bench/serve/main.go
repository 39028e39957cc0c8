// Command serve is one small server for measurements, on loopback: a loop
// without an engine, or one that uses netserver as a library. bench/compare
// builds and starts it.
//
// Start reading at run; the loops are in bench/bare.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"runtime/pprof"
	"strconv"
	"syscall"

	"netserver"
	"netserver/bench/bare"
	"netserver/bench/loopback"
	"netserver/conf"
	"netserver/handler/echo"
	"netserver/handler/httpd"
	"netserver/handler/proxy"
	"netserver/port"
)

const usage = `usage: serve [flags] KIND

KIND is echo, backend (the same without splice), source (zeros without end from
the client's first byte on), proxy, program (cat), packets (UDP echo) or http:
loops written by hand; or engine-echo, engine-proxy, engine-source or
engine-http: the same with netserver as a library.

`

type options struct {
	kind      string
	port      int
	socket    string
	cert, key string
	to, dir   string
	profile   string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil && err != flag.ErrHelp {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	var o options
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, usage)
		fs.PrintDefaults()
	}
	fs.IntVar(&o.port, "port", 0, "`port` of 127.0.0.1 to listen on")
	fs.StringVar(&o.socket, "socket", "", "`path` of a UNIX socket to listen on instead")
	fs.StringVar(&o.cert, "cert", "", "certificate `file`; without it there is no TLS")
	fs.StringVar(&o.key, "key", "", "its key `file`")
	fs.StringVar(&o.to, "to", "", "loopback `address` that proxy connects to")
	fs.StringVar(&o.profile, "profile", "", "`file` to write a CPU profile to, until the end")
	fs.StringVar(&o.dir, "dir", "", "`directory` that http serves")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return fmt.Errorf("give one kind after the flags, got %q", fs.Args())
	}
	o.kind = fs.Arg(0)
	if o.kind == "proxy" || o.kind == "engine-proxy" {
		if _, err := loopback.Target(o.to); err != nil {
			return err
		}
	}
	if o.profile == "" {
		return o.serve(ctx)
	}
	f, err := os.Create(o.profile)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return errors.Join(err, f.Close())
	}
	err = o.serve(ctx)
	pprof.StopCPUProfile()
	return errors.Join(err, f.Close())
}

func (o options) serve(ctx context.Context) error {
	switch o.kind {
	case "engine-echo":
		return o.engine(ctx, &echo.Handler{Raw: true})
	case "engine-proxy":
		return o.engine(ctx, &proxy.Handler{Target: o.to})
	case "engine-http":
		return o.engine(ctx, &httpd.Handler{Handler: http.FileServer(http.Dir(o.dir))})
	case "engine-source":
		return o.engine(ctx, netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
			bare.Source(c)
			return nil
		}))
	case "packets":
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(o.port))))
		if err != nil {
			return err
		}
		defer context.AfterFunc(ctx, func() { c.Close() })()
		bare.Packets(c)
		return nil
	}
	l, err := o.listen()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	switch o.kind {
	case "echo":
		bare.Loop(l, bare.Echo)
	case "backend":
		bare.Loop(l, bare.Backend)
	case "source":
		bare.Loop(l, bare.Source)
	case "proxy":
		bare.Loop(l, bare.Proxy(o.to))
	case "program":
		bare.Loop(l, bare.Program("/bin/cat"))
	case "http":
		bare.HTTP(l, o.dir)
	default:
		return fmt.Errorf("no server %q", o.kind)
	}
	return nil
}

func (o options) listen() (net.Listener, error) {
	network, address := "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.port))
	if o.socket != "" {
		network, address = "unix", o.socket
	}
	l, err := net.Listen(network, address)
	if err != nil || o.cert == "" {
		return l, err
	}
	return bare.TLS(l, o.cert, o.key)
}

func (o options) engine(ctx context.Context, h netserver.Handler) error {
	s := &netserver.Server{Handler: h, Log: slog.New(slog.DiscardHandler)}
	var keys []string
	p := port.Spec{Host: "127.0.0.1", Port: strconv.Itoa(o.port), Proto: "tcp", IPv: "4"}
	if o.cert != "" {
		p.Proto = "ssl"
		keys = []string{"--SSL_cert_file", o.cert, "--SSL_key_file", o.key}
	}
	if o.socket != "" {
		p = port.Spec{Port: o.socket, Proto: "unix"}
	}
	if err := readKeys(&s.Config, keys); err != nil {
		return err
	}
	s.Config.Ports = []port.Spec{p}
	s.Config.Shutdown.Grace = -1
	return s.ListenAndServe(ctx)
}

// readKeys sets c as the command's arguments would.
func readKeys(c *netserver.Config, args []string) error {
	var set conf.Set
	c.Define(&set)
	_, err := set.Resolve(set.ReadArgs(args).Layer)
	return err
}
