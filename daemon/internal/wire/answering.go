package wire

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/internal/bridge"
	"netserver/internal/control"
)

// AnswerTo answers a question about s, whose clients handler serves, and about
// the backends that it connects clients to.
func AnswerTo(s netserver.Monitor, handler string, backends []*proxy.Backend, q Ask) Answer {
	switch q.What {
	case AskStats:
		st := s.Stats()
		h := st.Handshakes
		return Answer{Count: st.Clients, Handshakes: control.Handshakes{Unfinished: h.Unfinished, Waiting: h.Waiting, Running: h.Running, Sources: h.Sources, Shed: h.Shed}}
	case AskMetrics:
		return Answer{}
	case AskClients:
		return clientsPage(s, handler, q)
	case AskClient:
		return clientAnswer(s, handler, q.Client)
	case AskKill:
		return Answer{Found: s.Kill(q.Client)}
	case AskLimits:
		return limitsAnswer(s, q.N)
	case AskBoxed:
		return boxedAnswer(s.Penalties())
	case AskTargets:
		return targetsPage(backends, q)
	case AskTarget:
		return changeTarget(backends, q)
	case AskLift:
		p, err := control.ParseNetwork(q.Network)
		if err != nil {
			return Answer{Failed: err.Error()}
		}
		return Answer{Lifted: s.Lift(p)}
	case AskBan:
		return ban(s, q)
	}
	return Answer{Failed: fmt.Sprintf("this version of the program does not know %q", q.What)}
}

// ban puts a network into the penalty box.
func ban(s netserver.Monitor, q Ask) Answer {
	p, err := control.ParseNetwork(q.Network)
	if err == nil {
		err = bridge.Of(s).Ban(p, time.Duration(q.N)*time.Second)
	}
	if err != nil {
		return Answer{Failed: err.Error()}
	}
	return Answer{}
}

func clientsPage(s netserver.Monitor, handler string, q Ask) Answer {
	n := min(max(q.N, 1), MaxPage)
	list := s.Clients(q.After, n)
	a := Answer{Count: s.Stats().Clients, More: len(list) == n}
	size := 0
	for _, r := range list {
		c := clientRow(r, handler)
		if q.Packed {
			before := len(a.Page)
			if a.Page = appendClient(a.Page, &c); len(a.Page) > maxPageBytes && before > 0 {
				a.Page, a.More = a.Page[:before], true
				break
			}
			continue
		}
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

func clientRow(r netserver.Record, handler string) control.Client {
	c := control.Client{
		ID: strconv.FormatUint(r.ID, 10), Port: r.Port.Short(), PeerName: ShortName(r.Host),
		Stage: r.Stage.String(), Doing: doing(r, handler), Since: r.Begin.Round(0), Connected: InSeconds(r.Time), In: r.In, Out: r.Out,
	}
	if r.Peer != nil {
		c.Peer = cmp.Or(r.Peer.String(), r.Peer.Network())
	}
	if t := r.TLS; t != nil && t.Version != 0 {
		c.TLS, c.ServerName = tls.VersionName(t.Version), ShortName(t.ServerName)
	}
	if r.Idle >= 0 {
		idle := InSeconds(r.Idle)
		c.Idle = &idle
	}
	return c
}

// InSeconds rounds to milliseconds.
func InSeconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// ShortName cuts a name to what DNS can have.
func ShortName(s string) string { return s[:min(len(s), maxName)] }

// doing says in words what a client is doing.
func doing(r netserver.Record, handler string) string {
	switch r.Stage {
	case netserver.StageHeader:
		return "PROXY header"
	case netserver.StageHandshake:
		return "handshake"
	case netserver.StageAccess:
		return "access rules"
	case netserver.StageHandler:
		if r.Waiting {
			return "waits for a place"
		}
		return handler
	case netserver.StageClose:
		return "closing"
	}
	return "arriving"
}

func limitsAnswer(s netserver.Monitor, top int) Answer {
	var a Answer
	for _, u := range s.Limits() {
		if len(a.Limits) == MaxLimitRows {
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
	for _, t := range s.TopSources(min(top, MaxTop)) {
		a.Sources = append(a.Sources, control.Source{Network: NetworkText(t.Prefix), Clients: t.Clients})
	}
	return a
}

func boxedAnswer(list []netserver.Source) (a Answer) {
	for _, b := range list[:min(len(list), MaxBoxed)] {
		a.Boxed = append(a.Boxed, control.Boxed{Network: NetworkText(b.Prefix), Left: InSeconds(b.Left), Offences: b.Offences, Processes: 1})
	}
	a.More = len(list) > MaxBoxed
	return a
}

// NetworkText writes a single address without its length.
func NetworkText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
