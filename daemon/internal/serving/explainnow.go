package serving

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"netserver"
	"netserver/access"
	"netserver/daemon/internal/wire"
	"netserver/handler/proxy"
	"netserver/handler/route"
	"netserver/internal/bridge"
	"netserver/internal/control"
	"netserver/port"
	"netserver/proto"
)

// maxReachable is how many targets of a backend are told.
const maxReachable = 10

// ExplainNow answers wire.AskExplain: what the ports that the engine serves
// would do now with a client.
func ExplainNow(ctx context.Context, engine bridge.Engine, q wire.Ask) wire.Answer {
	if q.About == nil {
		return wire.Answer{Failed: "it is not said about whom"}
	}
	about := *q.About
	peer, err := control.ParsePeer(about.Peer)
	if err != nil {
		return wire.Answer{Failed: err.Error()}
	}
	var rows []wire.Explained
	for _, now := range engine.ExplainNow(ctx, peer, func(p port.Spec) bool { return isPort(p, about.Port) && canReach(p, peer) }) {
		rows = append(rows, wire.Explained{Place: now.Place, ExplainedPort: explained(&now, peer, about)})
	}
	return wire.ExplainedPage(rows, q)
}

// isPort reports whether p is the port that is called name: as status lists it,
// or by its host and number, or its number or path alone.
func isPort(p port.Spec, name string) bool {
	short := p.Short()
	address, _, _ := strings.Cut(short, "/")
	if p.IsUnix() {
		address = p.Port
	}
	return name == "" || name == short || name == address || name == p.Port
}

// canReach reports whether such a client can come to the port at all.
func canReach(p port.Spec, peer access.Peer) bool {
	if p.IsUnix() != peer.Unix {
		return false
	}
	if peer.Unix {
		return true
	}
	if host, err := netip.ParseAddr(p.Host); err == nil && !host.IsUnspecified() {
		return host.Unmap().Is4() == peer.IP.Is4()
	}
	return p.IPv != "4" || peer.IP.Is4()
}

// explained tells what a port would do with peer.
func explained(now *bridge.PortNow, peer access.Peer, about wire.About) control.ExplainedPort {
	e := control.ExplainedPort{Rule: now.Why, Name: now.Host, Exempt: now.Source.Exempt}
	refuse := func(format string, args ...any) { e.Refused = append(e.Refused, fmt.Sprintf(format, args...)) }
	note := func(format string, args ...any) { e.Notes = append(e.Notes, fmt.Sprintf(format, args...)) }
	// In the order in which the engine looks: limits at accept, then rules.
	limit := refuse
	if now.Shadow {
		limit = func(format string, args ...any) {
			note("limits_shadow lets through what would be refused: "+format, args...)
		}
	}
	if b := now.Source.Boxed; b.Prefix.IsValid() {
		e.Penalty = &control.Boxed{Network: wire.NetworkText(b.Prefix), Left: wire.InSeconds(b.Left), Offences: b.Offences, Processes: 1}
		limit("%s is in the penalty box, for %v more", e.Penalty.Network, b.Left.Round(100*time.Millisecond))
	}
	for _, l := range now.Limits {
		e.Limits = append(e.Limits, control.ExplainedLimit{Key: l.Key, OfPort: l.Own, Unit: l.Unit, Value: l.Value, Use: l.Use, Refuses: l.Refuses})
		use := fmt.Sprintf("%.0f of %.0f in use", l.Use, l.Value)
		switch {
		case l.Refuses:
			limit("%s: %s", l.Key, use)
		case l.Waits:
			note("would wait for %s: %s", l.Key, use)
		case l.Ends:
			note("would end an older handshake by %s: %s", l.Key, use)
		}
	}
	switch {
	case !now.Allowed:
		refuse("%s", now.Why)
	case !now.Proxied:
		e.Rule = ruleText(&now.Access, now.Why)
		if !now.Access.Allowed {
			refuse("%s", now.Access.Rule)
		}
		if now.Access.Shadowed {
			note("a rule in shadow mode would refuse it")
		}
	}
	if now.Health {
		note("it is told that the server serves, and hung up on: this port serves no clients (health)")
		e.Allowed = len(e.Refused) == 0
		return e
	}
	e.Route = routeNow(now, peer, about)
	e.TLS = tlsNow(now, about.SNI)
	if r := e.Route; r != nil && r.PassThrough {
		e.TLS = nil // it is not decrypted
	}
	if t := e.TLS; t != nil && strings.HasPrefix(t.Certificate, "none: ") {
		refuse("no certificate is for the name it asks for")
	}
	if t := e.TLS; t != nil && t.Requires {
		note("it must have a client certificate")
	}
	next, refused := nextNow(now, e.Route)
	switch {
	case refused && e.Route.Name == "" && strings.Contains(e.Route.Why, dependsText):
		note("which route it takes depends on what it sends")
	case refused && e.Route.Name == "":
		refuse("no route is for it")
	case refused:
		refuse("route %s serves nobody", e.Route.Name)
	}
	e.Backend, e.Targets = targetsOf(next)
	e.Allowed = len(e.Refused) == 0
	return e
}

// ruleText says by which rule for addresses a port decides, and what else it does
// with one.
func ruleText(v *access.Verdict, beside string) string {
	rule := v.Rule
	if rule == "no rules" { // as access.Verdict has it
		rule = "no rules for addresses: each may connect"
	}
	if v.Allowed && beside != "" {
		rule += "; " + beside
	}
	return rule
}

// tlsNow tells what TLS does for a client that asks for name; nil without TLS.
func tlsNow(now *bridge.PortNow, name string) *control.ExplainedTLS {
	src, ok := now.Transport.(proto.Sourced)
	if !ok {
		return nil
	}
	x := src.Source().Explain(name, nil)
	return &control.ExplainedTLS{Certificate: x.Certificate, Rule: x.Rule, Requires: x.Required}
}

func routeNow(now *bridge.PortNow, peer access.Peer, about wire.About) *control.ExplainedRoute {
	h, ok := now.Handler.(netserver.Handler)
	if !ok {
		return nil
	}
	t := Explain(h, now.Spec, Client{From: peer.IP, ServerName: about.SNI, ALPN: about.ALPN})
	if t == nil {
		return nil
	}
	return &control.ExplainedRoute{Name: t.Name, Why: t.Why, PassThrough: t.PassThrough}
}

// dependsText is in the reasons of route.Handler.Explain where more has to be
// known of the client.
const dependsText = "depends on what the client sends"

// nextNow returns who serves the client, on the route that it takes if there are
// any, and whether that is nobody.
func nextNow(now *bridge.PortNow, taken *control.ExplainedRoute) (h netserver.Handler, refused bool) {
	h, _ = now.Handler.(netserver.Handler)
	routed, ok := netserver.HandlerAs[*route.Handler](h)
	if !ok || taken == nil {
		return h, false
	}
	for i, r := range routed.Routes {
		if taken.Name != "" && taken.Name == cmp.Or(r.Name, strconv.Itoa(i+1)) {
			return r.Handler, r.Handler == nil
		}
	}
	if taken.Name == "" {
		return nil, true
	}
	return routed.Default, false
}

// targetsOf returns the backend that a Handler connects clients to, and its
// targets.
func targetsOf(h netserver.Handler) (backend string, list []control.Reachable) {
	to, ok := netserver.HandlerAs[*proxy.Handler](h)
	if !ok {
		return "", nil
	}
	b, err := to.Pool()
	if err != nil {
		return "", nil
	}
	for _, t := range b.List() {
		if len(list) == maxReachable {
			break
		}
		list = append(list, control.Reachable{Target: t.Target, Address: t.Address, State: t.State})
	}
	return b.Name, list
}
