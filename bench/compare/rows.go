package main

import (
	"crypto/tls"
	"slices"
	"time"

	"netserver/bench/drive"
	"netserver/bench/peers"
)

// Units of operations.
const (
	perConn    = "connection"
	perGB      = "GB"
	perPacket  = "datagram"
	perRequest = "request"
)

// Ways to measure.
const (
	byCPU     = iota // the server's CPU for an operation
	byMemory         // the server's memory for a connection that is held
	byLatency        // what clients feel who come at a fixed rate
	byStart          // how long it takes from a server's start until its first client is answered
)

// A row is one thing that is measured of several servers.
type row struct {
	name, title string
	how         int
	unit        string
	classes     []string
	load        drive.Options
	place       func(at *peers.Place) // sets what the servers are to do; nil: TLS, echo or proxy
	rsa         bool
	ours        []string // contestants of ours that run, if not all
	noPeers     bool
	half        bool // load.Rate is half of what the bare proxy did in the row "full"
	once        bool // one round is enough, as it takes long
	fresh       bool // each measurement on a server just started
	settles     bool // measure only when a server has had time for what it does after many have come
	// thousands says that connections in such numbers are held that a process
	// for each is out of the question.
	thousands bool
}

// shape tells rows apart that need different servers.
type shape struct {
	rsa bool
	at  peers.Place // with what place sets alone
}

func (r row) shape() shape {
	s := shape{rsa: r.rsa}
	if r.place != nil {
		r.place(&s.at)
	}
	return s
}

func plain(at *peers.Place)    { at.Plain = true }
func socket(at *peers.Place)   { at.Plain, at.Socket = true, "s" }
func source(at *peers.Place)   { at.Source = true }
func packets(at *peers.Place)  { at.Datagram = true }
func programs(at *peers.Place) { at.Program = true }
func plainCat(at *peers.Place) { at.Program, at.Plain = true, true }
func web(at *peers.Place)      { at.Web = "web" }
func plainWeb(at *peers.Place) { at.Web, at.Plain = "web", true }

// heldSteps are the numbers of open connections between which cost is compared.
var heldSteps = []int{10, 100, 1000, 10000}

// rows returns the catalogue, those of one shape together.
func rows(o options) []row {
	both := []string{inProcess, proxied}
	connect := func(with drive.Options) drive.Options {
		with.Kind, with.TLS, with.Conns = drive.Connect, true, o.conns
		return with
	}
	stream := func(size int) drive.Options {
		return drive.Options{Kind: drive.PingPong, TLS: true, Conns: o.conns / 2, Size: size}
	}
	all := []row{
		{name: "full", title: "full handshake, TLS 1.3, X25519, ECDSA", unit: perConn, classes: both, load: connect(drive.Options{})},
		{name: "resumed", title: "resumed handshake, TLS 1.3, X25519", unit: perConn, classes: both, load: connect(drive.Options{Resume: true})},
		{name: "full-mlkem", title: "full handshake, TLS 1.3, X25519MLKEM768, ECDSA", unit: perConn, classes: both, load: connect(drive.Options{Group: tls.X25519MLKEM768})},
		{name: "full-12", title: "full handshake, TLS 1.2, X25519, ECDSA", unit: perConn, classes: both, load: connect(drive.Options{Version: tls.VersionTLS12})},
		{name: "resumed-12", title: "resumed handshake, TLS 1.2", unit: perConn, classes: both, load: connect(drive.Options{Version: tls.VersionTLS12, Resume: true})},
		{name: "blocks-1k", title: "blocks of 1 KiB there and back over TLS", unit: perGB, classes: both, load: stream(1 << 10)},
		{name: "blocks-16k", title: "blocks of 16 KiB there and back over TLS", unit: perGB, classes: both, load: stream(16 << 10)},
		{name: "blocks-256k", title: "blocks of 256 KiB there and back over TLS", unit: perGB, classes: both, load: stream(256 << 10)},
		{name: "rate-100", title: "full handshakes, 100 clients a second", how: byLatency, classes: both, load: drive.Options{Kind: drive.Connect, TLS: true, Rate: 100}},
		{name: "rate-half", title: "full handshakes, half of what the proxy written by hand does", how: byLatency, classes: both, half: true, load: drive.Options{Kind: drive.Connect, TLS: true, Rate: 500}},
		{name: "start", title: "from the start until the first client is answered, TLS", how: byStart, classes: both, fresh: true, load: connect(drive.Options{})},
		{name: "full-rsa", title: "full handshake, TLS 1.3, X25519, RSA 2048", unit: perConn, classes: both, rsa: true, load: connect(drive.Options{})},
		{name: "download", title: "download over TLS", unit: perGB, classes: both, place: source, load: drive.Options{Kind: drive.Download, TLS: true, Conns: o.conns / 2}},
		{name: "tcp", title: "plain TCP connection", unit: perConn, classes: both, place: plain, load: drive.Options{Kind: drive.Connect, Conns: o.conns}},
		{name: "unix", title: "connection to a UNIX socket", unit: perConn, classes: []string{inProcess}, place: socket, load: drive.Options{Kind: drive.Connect, Conns: o.conns}},
		{name: "udp", title: "datagram of 100 bytes there and back", unit: perPacket, classes: both, place: packets, load: drive.Options{Kind: drive.Packets, Conns: o.conns, Size: 100}},
		{name: "program-tls", title: "cat over TLS", unit: perConn, classes: []string{program}, place: programs, load: connect(drive.Options{})},
		{name: "program-tcp", title: "cat over TCP", unit: perConn, classes: []string{program}, place: plainCat, load: drive.Options{Kind: drive.Connect, Conns: o.conns}},
		{name: "http", title: "HTTP/1.1 request of a 1 KiB file, connection kept", unit: perRequest, classes: []string{inProcess}, place: plainWeb, load: drive.Options{Kind: drive.Requests, Conns: o.conns, Path: "/file"}},
		{name: "https", title: "the same over TLS", unit: perRequest, classes: []string{inProcess}, place: web, load: drive.Options{Kind: drive.Requests, TLS: true, Conns: o.conns, Path: "/file"}},
		{name: "idle", title: "idle TLS connection", how: byMemory, classes: both, once: true, fresh: true, settles: true, thousands: true, load: drive.Options{Kind: drive.Hold, TLS: true, Held: o.held}},
	}
	for _, n := range heldSteps {
		all = append(all, heldRow(n, o))
	}
	for i := range all {
		if all[i].load.Duration == 0 {
			all[i].load.Duration = o.duration
		}
		if all[i].how == byLatency {
			all[i].load.Duration = max(4*o.duration, time.Second)
		}
	}
	return all
}

// heldRow is a full handshake while n other connections are open.
func heldRow(n int, o options) row {
	return row{
		name: heldName(n), title: heldTitle(n), unit: perConn, classes: []string{inProcess, proxied},
		once: true, settles: true, thousands: n >= 1000,
		ours: []string{one, oursProxy}, noPeers: n != slices.Min(heldSteps) && n != slices.Max(heldSteps),
		load: drive.Options{Kind: drive.Connect, TLS: true, Conns: o.conns, Held: n, Duration: 4 * o.duration},
	}
}
