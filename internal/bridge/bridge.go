package bridge

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"netserver/access"
	"netserver/internal/admit"
	"netserver/internal/metric"
	"netserver/port"
	"netserver/proto"
	"netserver/sock"
)

// An Engine is a Server as its command sees it. Its methods may be called at
// any time.
type Engine interface {
	// Transports makes what each configured port speaks, and with that checks
	// the ports' parameters: certificates, for instance, are loaded and
	// checked. The access rules are checked too. It opens nothing. The error
	// joins one for each port or rule that is wrong.
	Transports() ([]proto.Transport, error)
	// Requests says which sockets the configured ports need, for a program that
	// opens or inherits them by itself; netserver.NewListener makes what Serve
	// takes of them. ts are the ports' Transports, in order.
	Requests(ts []proto.Transport) ([]sock.Request, error)
	// Budget reports the effective limits of the configuration.
	Budget() Budget
	// GraceTimes returns the effective grace and grace_spread; 0 is at once.
	GraceTimes() (grace, spread time.Duration)
	// ExplainPort says what the port alone decides about a client that connects
	// to it, before any byte of the client's own and any access rule. The error
	// is about the port's parameters.
	ExplainPort(p port.Spec, peer access.Peer) (PortVerdict, error)
	// ExplainNow says what the ports that are served now would do with a client
	// that connects now, those of which ask is true. It may look up the client's
	// name, until ctx ends. Nothing is counted.
	ExplainNow(ctx context.Context, peer access.Peer, ask func(port.Spec) bool) []PortNow
	// RulesOf returns the access rules of a port, and whether it has rules of its
	// own: then those of the Server hold only where it gives none of that kind.
	RulesOf(p port.Spec) (rules access.Rules, own bool)
	// OnServing has the next Serve call f, once, when it has checked what it was
	// given and read its access rules, before it accepts: what changes in a file
	// from then on is noticed. A Serve that fails does not call f.
	OnServing(f func())
	// Stop is Server.Close for a Serve that is to return when the handlers have:
	// nil, or an error that wraps ErrCut and tells how many clients were cut.
	Stop()
	// ClientCount returns how many clients are connected, in any stage. It
	// costs next to nothing.
	ClientCount() int
	// Cut ends the client of that ID as the end of the grace time does, with
	// ErrCut and the reason in its record. It reports whether there was one. It
	// does not wait for the Handler to return.
	Cut(id uint64, why string) bool
	// Ban puts a network into the penalty box for d, whatever its clients have
	// done.
	Ban(p netip.Prefix, d time.Duration) error
	// ClientNow tells more of the client of that ID than its record does, and
	// whether there is one.
	ClientNow(id uint64) (ClientNow, bool)
	// SharedCounts returns the sources and networks with the most connections, and
	// those with noticeably many handshakes, for the other processes that share the
	// Server's limits on both with this one. Call it twice a second and tell them at once: what is
	// left of a limit for this process depends on what it has reported.
	SharedCounts(most int) []admit.SourceUse
	// SetOtherCounts replaces what is known of the others. With no others the
	// limits are this process's alone.
	SetOtherCounts(o admit.Others)
	// OwnBans returns what this process itself has put into the penalty box, those
	// first that stay the longest.
	OwnBans(most int) []admit.Boxed
	// SetOtherBans replaces what is in the penalty box because of others: by each
	// with its Node, for Left from now. What this process has banned itself may be
	// among them.
	SetOtherBans(list []admit.Boxed)
	// LimitKeys returns the keys of the limits that netserver.PortStats.Refused
	// can count under.
	LimitKeys() []string
	// Metrics returns what has been counted beside netserver.Stats, and the ports
	// that it is of, in the order of Stats.
	Metrics() (ports []string, list []metric.Sample)
	// LimiterStats returns the counters behind limits by source.
	LimiterStats() admit.LimiterStats
}

// Of returns the Engine of a Server, given the Server's Monitor.
func Of(monitor any) Engine { return monitor.(Engine) }

// A TLSStarter is a Handler that says whether it starts TLS itself. Handlers of
// netserver.StartsTLS are, and so is what the command puts around them.
type TLSStarter interface{ StartsTLS() bool }

// A Listener is what Server.Listen and netserver.NewListener return.
type Listener interface {
	net.Listener
	// Spec returns the port, with the number it is really bound to.
	Spec() port.Spec
	// Asked returns the port as it was configured: with 0 or a service's name
	// where Spec has the number.
	Asked() port.Spec
	// Transport returns what the port speaks.
	Transport() proto.Transport
	// Retire closes the listener while the Server goes on serving the clients
	// that came by it. Close alone is an error that Serve reports.
	Retire() error
}

// TransportsOf returns what the ports of Listeners speak; nil for other
// listeners.
func TransportsOf(ls []net.Listener) []proto.Transport {
	ts := make([]proto.Transport, len(ls))
	for i, l := range ls {
		if l, ok := l.(Listener); ok {
			ts[i] = l.Transport()
		}
	}
	return ts
}

// A Budget reports the effective limits of a Server in this process, those
// among them whose default depends on the machine, by their keys; 0 is no
// limit. memory_waiting, memory_plain and memory_tls are what a connection is
// counted as in max_memory, in bytes: before it is served, and when it is.
type Budget map[string]int64

// A PortVerdict is what a port alone decides about a client by its address.
type PortVerdict struct {
	Allowed bool
	Proxied bool   // rules and limits go by the address in its PROXY header
	Why     string // "in proxy_protocol_from: ..."
}

// A PortNow is what a port would do now with a client that connects.
type PortNow struct {
	Spec  port.Spec
	Place int // among the ports that are served
	PortVerdict
	Access access.Verdict // of the rules as they are in force; zero if Proxied or not Allowed
	Host   string         // the client's name, if the rules look it up
	Source admit.Look     // zero if Proxied
	Limits []LimitNow     // that there are
	Health bool           // it serves nobody, but says that the server serves
	Shadow bool           // limits and the penalty box refuse nobody
	// Transport is what the port speaks; Handler, a netserver.Handler, serves its
	// clients.
	Transport proto.Transport
	Handler   any
}

// A LimitNow is a limit, and how much of it is in use.
type LimitNow struct {
	Key        string
	Own        bool // of the port, beside the Server's
	Unit       string
	Value, Use float64
	Refuses    bool // one more would be refused
	Waits      bool // one more would wait
	Ends       bool // one more would end the oldest handshake there
}

// A ClientNow is what is known of a client that is here, beside its record. Times
// count from accept.
type ClientNow struct {
	Stage string        // as in the record, or close when it is being closed
	Since time.Duration // when it came to that, to the millisecond
	// Times are the parts of its way that were noted, in order: all of them on
	// ports whose records have them, and else when its Handler began.
	Times []TimeOf
	Lane  string // where its work runs: one of the Lanes
	Waits string // what it waits for, in words; "" is not known
	// Ends are the times at which it ends if nothing happens before.
	Ends   []EndOf
	Limits []LimitNow   // that it counts against
	Source netip.Prefix // that limits by source count it under; zero if it has no address
	JA4    string       // "" if it is not noted
	Notes  []slog.Attr  // of its Handler
	Peer   net.Conn     // what was accepted: of a UNIX socket, the kernel knows whose it is
}

// The Lanes of a ClientNow.
const (
	LaneHello     = "hello wait" // a bare socket, without a goroutine
	LaneTurn      = "turn"       // the handshake scheduler has it: it has a turn, or waits for one
	LaneParked    = "parked"     // without a goroutine, until something happens
	LaneGoroutine = "goroutine"  // of its own, or one of the pool
)

// A TimeOf is when a client came to a part of its way: a stage, or hello, turn
// or placed, which are those of netserver.Trace.
type TimeOf struct {
	Name  string
	After time.Duration
}

// An EndOf is when something ends a client, and the key that says so: "" is the
// Handler itself, as Why says.
type EndOf struct {
	Key, Why string
	At       time.Time
}
