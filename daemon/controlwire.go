package daemon

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	"netserver"
	"netserver/internal/admit"
	"netserver/internal/control"
)

// What a supervisor asks its workers for the control socket, and what they
// answer. The answers come from processes that meet strangers: each is bounded
// by maxFromWorker, and nothing in them names anything but the worker's own
// clients.
const (
	opAsk    = "ask"    // to a worker
	opAnswer = "answer" // from it
	opCounts = "counts" // from it: outcomes of its ports
)

// What can be asked.
const (
	askStats   = "stats"
	askClients = "clients"
	askKill    = "kill"
	askLimits  = "limits"
	askBoxed   = "boxed"
	askLift    = "lift"
)

// An ask is one question to a worker.
type ask struct {
	What    string
	After   uint64 `json:",omitempty"` // of askClients
	N       int    `json:",omitempty"` // of askClients and askLimits: at most
	Client  uint64 `json:",omitempty"` // of askKill
	Network string `json:",omitempty"` // of askLift
}

// An answer is a worker's.
type answer struct {
	Failed     string             `json:",omitempty"`
	Count      int                `json:",omitempty"` // of clients connected
	Clients    []control.Client   `json:",omitempty"` // ID is the client's number alone
	More       bool               `json:",omitempty"` // there are others behind the last one
	Handshakes control.Handshakes `json:",omitzero"`
	Limits     []control.Limit    `json:",omitempty"`
	Sources    []control.Source   `json:",omitempty"`
	Boxed      []control.Boxed    `json:",omitempty"`
	Found      bool               `json:",omitempty"` // of askKill
	Lifted     int                `json:",omitempty"`
}

// The bounds that keep an answer below maxFromWorker, whatever is in it.
const (
	maxPage      = 256      // clients
	maxPageBytes = 40 << 10 // of them
	maxLimitRows = 120
	maxTop       = 300
	maxBoxed     = 300
	maxName      = 253 // bytes of a name; DNS has no longer ones
)

// answerTo answers a question about s, whose clients handler serves.
func answerTo(s *netserver.Server, handler string, q ask) answer {
	switch q.What {
	case askStats:
		st := s.Stats()
		h := st.Handshakes
		return answer{Count: st.Clients, Handshakes: control.Handshakes{Unfinished: h.Unfinished, Waiting: h.Waiting, Running: h.Running, Sources: h.Sources, Shed: h.Shed}}
	case askClients:
		return clientsPage(s, handler, q)
	case askKill:
		return answer{Found: s.Kill(q.Client)}
	case askLimits:
		return limitsAnswer(s, q.N)
	case askBoxed:
		return boxedAnswer(s.PenaltyBox())
	case askLift:
		p, err := control.ParseNetwork(q.Network)
		if err != nil {
			return answer{Failed: err.Error()}
		}
		return answer{Lifted: s.Lift(p)}
	}
	return answer{Failed: fmt.Sprintf("this version of the program does not know %q", q.What)}
}

func clientsPage(s *netserver.Server, handler string, q ask) answer {
	n := min(max(q.N, 1), maxPage)
	list := s.Clients(q.After, n)
	a := answer{Count: s.Stats().Clients, More: len(list) == n}
	now := time.Now()
	size := 0
	for _, i := range list {
		c := clientRow(i, handler, now)
		b, err := json.Marshal(c)
		if err != nil {
			continue
		}
		if size += len(b); size > maxPageBytes && len(a.Clients) > 0 {
			a.More = true
			break
		}
		a.Clients = append(a.Clients, c)
	}
	return a
}

func clientRow(i netserver.ClientInfo, handler string, now time.Time) control.Client {
	c := control.Client{
		ID: strconv.FormatUint(i.ID, 10), Port: i.Port.Short(), PeerName: shortName(i.Host), ServerName: shortName(i.ServerName),
		Stage: i.Stage.String(), Doing: doing(i, handler), Since: i.From.Round(0), Connected: inSeconds(now.Sub(i.From)), In: i.In, Out: i.Out,
	}
	if i.Peer != nil {
		c.Peer = cmp.Or(i.Peer.String(), i.Peer.Network())
	}
	if i.TLS != 0 {
		c.TLS = tls.VersionName(i.TLS)
	}
	if i.Idle >= 0 {
		idle := inSeconds(i.Idle)
		c.Idle = &idle
	}
	return c
}

// inSeconds rounds to milliseconds.
func inSeconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

func shortName(s string) string { return s[:min(len(s), maxName)] }

// doing says in words what a client is doing.
func doing(i netserver.ClientInfo, handler string) string {
	switch i.Stage {
	case netserver.StageHeader:
		return "PROXY header"
	case netserver.StageHandshake:
		return "handshake"
	case netserver.StageAccess:
		return "access rules"
	case netserver.StageHandler:
		if i.Waiting {
			return "waits for a place"
		}
		return handler
	case netserver.StageClose:
		return "closing"
	}
	return "arriving"
}

func limitsAnswer(s *netserver.Server, top int) answer {
	var a answer
	for _, u := range s.Limits() {
		if len(a.Limits) == maxLimitRows {
			break
		}
		l := control.Limit{Key: u.Key, Unit: u.Unit, Refused: u.Refused}
		if u.Port.Port != "" {
			l.Port = u.Port.Short()
		}
		if u.Value > 0 {
			l.Value = &u.Value
		}
		if u.Use >= 0 {
			l.Use = &u.Use
		}
		a.Limits = append(a.Limits, l)
	}
	for _, t := range s.TopSources(min(top, maxTop)) {
		a.Sources = append(a.Sources, control.Source{Network: networkText(t.Prefix), Clients: t.Conns})
	}
	return a
}

func boxedAnswer(list []admit.Boxed) (a answer) {
	for _, b := range list[:min(len(list), maxBoxed)] {
		a.Boxed = append(a.Boxed, control.Boxed{Network: networkText(b.Prefix), Left: inSeconds(b.Left), Offences: b.Offences, Processes: 1})
	}
	a.More = len(list) > maxBoxed
	return a
}

// errGone is why a worker that has ended does not answer.
var errGone = errors.New("the worker has ended")

// A silentError is the error of a worker that does not answer.
type silentError struct{ since time.Duration }

func (e *silentError) Error() string {
	return fmt.Sprintf("the worker does not answer, for %v", e.since.Round(time.Millisecond))
}

// A member is a process that serves clients.
type member struct {
	id, pid int
	ready   bool // it can be asked
}

// networkText writes a single address without its length.
func networkText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// own says that c is a client of m, whatever m said.
func (m member) own(c control.Client) control.Client {
	c.ID, c.Worker, c.PID = fmt.Sprintf("%d.%s", m.id, c.ID), m.id, m.pid
	return c
}
