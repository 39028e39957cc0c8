package wire

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"netserver"
	"netserver/access"
	"netserver/internal/bridge"
	"netserver/internal/control"
	"netserver/internal/metric"
)

// The bounds of what is told of one client.
const (
	maxParts    = 16 // of its way, deadlines, limits
	maxNotes    = 64
	maxNoteName = 64
	maxNoteAll  = 4 << 10 // bytes of all values
)

// clientAnswer tells all of one client, or of none if it is not here.
func clientAnswer(s netserver.Monitor, handler string, id uint64) (a Answer) {
	if id == 0 {
		return a
	}
	list := s.Clients(id-1, 1)
	now, found := bridge.Of(s).ClientNow(id)
	if !found || len(list) == 0 || list[0].ID != id {
		return a
	}
	r := list[0]
	c := &control.Connection{
		Client: clientRow(r, handler), Lane: now.Lane, Waits: now.Waits, Verdict: r.Verdict, JA4: now.JA4,
		Times: []control.Passed{}, Ends: []control.Deadline{}, Counts: []control.Counted{}, Notes: []control.Note{},
	}
	if c.Stage = now.Stage; now.Stage == netserver.StageClose.String() {
		c.Doing = "closing"
	}
	c.StageFor = max(0, InSeconds(r.Time-now.Since))
	for _, t := range now.Times {
		c.Times = append(c.Times, control.Passed{Part: t.Name, After: t.After.Seconds()})
	}
	slices.SortStableFunc(now.Ends, func(a, b bridge.EndOf) int { return a.At.Compare(b.At) })
	for _, e := range now.Ends {
		c.Ends = append(c.Ends, control.Deadline{Key: e.Key, Why: e.Why, Left: InSeconds(time.Until(e.At))})
	}
	for _, m := range now.Limits {
		c.Counts = append(c.Counts, control.Counted{Key: m.Key, Port: m.Own, Unit: m.Unit, Value: m.Value, Use: m.Use})
	}
	if now.Source.IsValid() {
		c.Network = NetworkText(now.Source)
	}
	if r.Via != nil {
		c.Via = cmp.Or(r.Via.String(), r.Via.Network())
	}
	c.Identity = identityOf(r.TLS, now.Peer)
	c.Facts = factsOf(r.TLS)
	addNotes(c, now.Notes)
	if err := checkConnection(c); err != nil { // and cuts what is long
		return Answer{Failed: err.Error()}
	}
	return Answer{Conn: c}
}

// identityOf returns who a client has shown to be.
func identityOf(t *tls.ConnectionState, nc net.Conn) string {
	if t != nil && len(t.PeerCertificates) > 0 {
		return "certificate " + t.PeerCertificates[0].Subject.String()
	}
	u, ok := nc.(*net.UnixConn)
	if !ok {
		return ""
	}
	cred, err := access.CredOf(u)
	if err != nil {
		return "" // it has left, or the system does not say
	}
	if cred.PID > 0 {
		return fmt.Sprintf("user %d, process %d", cred.UID, cred.PID)
	}
	return fmt.Sprintf("user %d", cred.UID)
}

func factsOf(t *tls.ConnectionState) *control.TLSFacts {
	if t == nil || t.Version == 0 {
		return nil
	}
	f := &control.TLSFacts{Version: tls.VersionName(t.Version), Cipher: metric.SuiteName(t.CipherSuite), ALPN: t.NegotiatedProtocol, Resumed: t.DidResume}
	if t.CurveID != 0 {
		f.Group = t.CurveID.String()
	}
	return f
}

// addNotes adds what a handler has noted by now; what it says of where the client
// went has fields of its own, too.
func addNotes(c *control.Connection, notes []slog.Attr) {
	size := 0
	for _, n := range notes[:min(len(notes), maxNotes)] {
		v := n.Value.Resolve()
		text := Clean(v.String(), maxText)
		if size += len(text); size > maxNoteAll {
			return
		}
		switch {
		case n.Key == "route":
			c.Route = text
		case n.Key == "backend":
			c.Backend = text
		case n.Key == "target":
			c.Target = text
		case n.Key == "pid" && v.Kind() == slog.KindInt64:
			pid := int(v.Int64())
			c.Child = &pid
		}
		c.Notes = append(c.Notes, control.Note{Name: Clean(n.Key, maxNoteName), Value: text})
	}
}

// checkConnection takes what a worker tells of one of its clients.
func checkConnection(c *control.Connection) error {
	if c == nil {
		return nil
	}
	if err := checkClient(&c.Client); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	for _, s := range []*string{&c.Lane, &c.Waits, &c.Via, &c.Identity, &c.Verdict, &c.JA4, &c.Route, &c.Backend, &c.Target} {
		*s = Clean(*s, maxText)
	}
	if c.Network != "" {
		if err := checkNetwork(&c.Network); err != nil {
			return fmt.Errorf("client: %w", err)
		}
	}
	if t := c.Facts; t != nil {
		for _, s := range []*string{&t.Version, &t.Cipher, &t.Group, &t.ALPN} {
			*s = Clean(*s, maxText)
		}
	}
	if c.Child != nil && (*c.Child < 0 || *c.Child > maxAtOnce) {
		return fmt.Errorf("client: process %d", *c.Child)
	}
	within := func(n float64) bool { return n >= -maxAmount && n <= maxAmount }
	if !within(c.StageFor) {
		return fmt.Errorf("client: in its stage for %g", c.StageFor)
	}
	return cmp.Or(
		checkEach("parts of a way", c.Times, maxParts, func(p *control.Passed) error {
			p.Part = Clean(p.Part, maxNoteName)
			return amount("part after", &p.After)
		}),
		checkEach("deadlines", c.Ends, maxParts, func(d *control.Deadline) error {
			d.Key, d.Why = Clean(d.Key, maxNoteName), Clean(d.Why, maxText)
			if !within(d.Left) {
				return fmt.Errorf("left %g", d.Left)
			}
			return nil
		}),
		checkEach("limits of a client", c.Counts, maxParts, func(m *control.Counted) error {
			m.Key, m.Unit = Clean(m.Key, maxNoteName), Clean(m.Unit, maxNoteName)
			if !within(m.Value) || !within(m.Use) {
				return fmt.Errorf("limit %g of %g", m.Use, m.Value)
			}
			return nil
		}),
		checkEach("notes", c.Notes, maxNotes, func(n *control.Note) error {
			n.Name, n.Value = Clean(n.Name, maxNoteName), Clean(n.Value, maxText)
			return nil
		}),
	)
}
