package connlog

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"time"

	"netserver"
	"netserver/internal/metric"
)

// A Field is something that a line can tell of a connection. It has one name in
// text, JSON, formats and, in capitals, in the journal.
type Field struct {
	Name string
	Help string // what it is
	// One of these says what it is; "" and false are nothing.
	text   func(e *entry) string
	number func(e *entry) (uint64, bool)
	ms     func(e *entry) (time.Duration, bool)
	most   int               // bytes of a text
	needs  netserver.Tracing // what has to be noted for it
	plain  bool              // a text in which nothing is the client's
	quiet  bool              // it is not in lines of text
}

// The bounds of texts, in bytes: of names, of what is longer, and of notes.
const (
	short  = 256
	long   = 1024
	noted  = 256
	mostOf = 16 // notes in JSON
)

// Fields returns all that a line can have, in the order of the lines.
func Fields() []Field { return fields[:] }

var fields = [...]Field{
	{Name: "id", Help: "number of the client, as in the log; none if a limit refused it", number: (*entry).id},
	{Name: "time", Help: "when it was accepted", text: (*entry).begin, plain: true, quiet: true},
	{Name: "port", Help: "port", text: func(e *entry) string { return e.r.Port.Short() }, plain: true},
	{Name: "local", Help: "address that the client connected to; by its PROXY header, if it has one", text: (*entry).local, plain: true, quiet: true},
	{Name: "route", Help: "name or number of the route that it took", text: func(e *entry) string { return e.note("route") }, most: short},
	{Name: "peer", Help: "address of the client; with a PROXY header the one that stands there", text: func(e *entry) string { return address(e.r.Peer) }, most: short},
	{Name: "via", Help: "address of the sender of the PROXY header", text: func(e *entry) string { return address(e.r.Via) }, most: short},
	{Name: "host", Help: "its name, if it was looked up", text: func(e *entry) string { return e.r.Host }, most: short},
	{Name: "uid", Help: "user of a client of a UNIX socket", number: (*entry).uid},
	{Name: "certificate", Help: "subject of its certificate", text: (*entry).subject, most: long},
	{Name: "fingerprint", Help: "SHA-256 of its certificate, in hexadecimal", text: (*entry).fingerprint, plain: true, quiet: true},
	{Name: "verdict", Help: "which rule let its certificate in", text: func(e *entry) string { return e.r.Verdict }, most: long},
	{Name: "tls", Help: "TLS version", text: (*entry).version, plain: true},
	{Name: "cipher", Help: "cipher suite", text: (*entry).cipher, plain: true},
	{Name: "group", Help: "group of the key exchange", text: (*entry).group, plain: true},
	{Name: "resumed", Help: "1 if the TLS session was resumed", number: (*entry).resumed},
	{Name: "sni", Help: "server name that it asked for", text: (*entry).sni, most: short},
	{Name: "alpn", Help: "protocol agreed on; of a client that is not decrypted the first one it offers", text: (*entry).alpn, most: short},
	{Name: "ja4", Help: "JA4 fingerprint of its ClientHello", text: (*entry).ja4, plain: true, quiet: true, needs: netserver.TraceHello},
	{Name: "close_notify", Help: "`missing` if it ended TLS without", text: (*entry).closeNotify, plain: true},
	{Name: "backend", Help: "name of its backend", text: (*entry).backend, most: short},
	{Name: "target", Help: "address that it was connected to", text: (*entry).target, most: short},
	{Name: "tries", Help: "targets that were tried, if more than one", text: func(e *entry) string { return e.note("tries") }, plain: true},
	{Name: "pid", Help: "process of its program", text: func(e *entry) string { return e.note("pid") }, plain: true},
	{Name: "exit", Help: "exit status of its program", text: func(e *entry) string { return e.note("exit") }, plain: true},
	{Name: "signal", Help: "signal that ended its program", text: func(e *entry) string { return e.note("signal") }, plain: true},
	{Name: "outcome", Help: "class that it ended in", text: func(e *entry) string { return e.r.Outcome.String() }, plain: true},
	{Name: "stage", Help: "last stage that it reached", text: func(e *entry) string { return e.r.Stage.String() }, plain: true},
	{Name: "in", Help: "bytes that it sent", number: func(e *entry) (uint64, bool) { return e.r.In, !e.r.Unseen }},
	{Name: "out", Help: "bytes that it was sent", number: func(e *entry) (uint64, bool) { return e.r.Out, !e.r.Unseen }},
	{Name: "duration_ms", Help: "from accept to its end", ms: func(e *entry) (time.Duration, bool) { return e.r.Time, true }},
	{Name: "header_ms", Help: "reading the PROXY header", needs: netserver.TraceTimes, quiet: true, ms: span(netserver.StageHeader, netserver.StageAdmit)},
	{Name: "admit_ms", Help: "rules for addresses, with waiting for names", needs: netserver.TraceTimes, quiet: true, ms: span(netserver.StageAdmit, netserver.StageHandshake)},
	{Name: "hello_ms", Help: "waiting for its ClientHello", needs: netserver.TraceTimes, quiet: true, ms: (*entry).hello},
	{Name: "turn_ms", Help: "waiting for its turn to shake hands", needs: netserver.TraceTimes, quiet: true, ms: (*entry).turn},
	{Name: "handshake_ms", Help: "the handshake", needs: netserver.TraceTimes, quiet: true, ms: (*entry).handshake},
	{Name: "access_ms", Help: "rules for certificates and names", needs: netserver.TraceTimes, quiet: true, ms: span(netserver.StageAccess, netserver.StageHandler)},
	{Name: "place_ms", Help: "waiting for a place in the handler", needs: netserver.TraceTimes, quiet: true, ms: (*entry).place},
	{Name: "handler_ms", Help: "being served", needs: netserver.TraceTimes, quiet: true, ms: (*entry).handler},
	{Name: "err", Help: "what ended it, if not served", text: (*entry).err, most: long},
}

// An entry is what a line is about.
type entry struct {
	c *netserver.Conn // nil if it never was a client
	r *netserver.Record

	untimed bool // a line of text has no time
}

func (e *entry) id() (uint64, bool) { return e.r.ID, e.c != nil }

func (e *entry) begin() string { return e.r.Begin.UTC().Format("2006-01-02T15:04:05.000000Z") }

func (e *entry) local() string {
	if e.c == nil {
		return ""
	}
	return address(e.c.LocalAddr())
}

// address is that of a client or a sender; UNIX sockets have no name, as a rule.
func address(a net.Addr) string {
	if a == nil {
		return ""
	}
	if u, ok := a.(*net.UnixAddr); ok && (u == nil || u.Name == "" || u.Name == "@") {
		return ""
	}
	return a.String()
}

func (e *entry) uid() (uint64, bool) {
	if e.c == nil || e.c.Peer().Cred == nil {
		return 0, false
	}
	return uint64(e.c.Peer().Cred.UID), true
}

// state is that of a client whose handshake is complete; nil of others.
func (e *entry) state() *tls.ConnectionState {
	if t := e.r.TLS; t != nil && t.HandshakeComplete {
		return t
	}
	return nil
}

func (e *entry) subject() string {
	if t := e.state(); t != nil && len(t.PeerCertificates) > 0 {
		return t.PeerCertificates[0].Subject.String()
	}
	return ""
}

func (e *entry) fingerprint() string {
	if t := e.state(); t != nil && len(t.PeerCertificates) > 0 {
		sum := sha256.Sum256(t.PeerCertificates[0].Raw)
		return hex.EncodeToString(sum[:])
	}
	return ""
}

func (e *entry) version() string {
	if t := e.state(); t != nil {
		return tls.VersionName(t.Version)
	}
	return ""
}

func (e *entry) cipher() string {
	if t := e.state(); t != nil {
		return metric.SuiteName(t.CipherSuite)
	}
	return ""
}

func (e *entry) group() string {
	if t := e.state(); t != nil && t.CurveID != 0 {
		return t.CurveID.String()
	}
	return ""
}

func (e *entry) resumed() (uint64, bool) {
	t := e.state()
	return 1, t != nil && t.DidResume
}

func (e *entry) sni() string {
	if t := e.state(); t != nil {
		return t.ServerName
	}
	if e.c != nil && e.c.Hello() != nil {
		return e.c.Hello().ServerName
	}
	return ""
}

func (e *entry) alpn() string {
	if t := e.state(); t != nil {
		return t.NegotiatedProtocol
	}
	if e.c != nil && e.c.Hello() != nil && len(e.c.Hello().ALPN) > 0 {
		return e.c.Hello().ALPN[0]
	}
	return ""
}

func (e *entry) ja4() string {
	if e.r.Trace == nil {
		return ""
	}
	return e.r.Trace.JA4
}

func (e *entry) closeNotify() string {
	if e.r.Truncated {
		return "missing"
	}
	return ""
}

// backend and target: a target of proxy_to has no backend with a name, and
// stands in the log as what it is connected to.
func (e *entry) backend() string {
	if e.note("target") == "" && e.note("connect") != "" {
		return ""
	}
	return e.note("backend")
}

func (e *entry) target() string {
	if t := e.note("target"); t != "" || e.note("connect") == "" {
		return t
	}
	return e.note("backend")
}

func (e *entry) err() string {
	var x *netserver.Error
	if errors.As(e.r.Err, &x) {
		return x.Err.Error()
	}
	return ""
}

// note returns the last note of that name.
func (e *entry) note(name string) string {
	for i := len(e.r.Notes) - 1; i >= 0; i-- {
		if a := &e.r.Notes[i]; a.Key == name {
			return noteText(a.Value)
		}
	}
	return ""
}

func noteText(v slog.Value) string {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindInt64:
		return strconv.FormatInt(v.Int64(), 10)
	case slog.KindDuration:
		return strconv.FormatFloat(float64(v.Duration())/float64(time.Millisecond), 'f', -1, 64)
	}
	return v.String()
}

// span is from one stage to what came after it, for a client that came to it.
func span(from, to netserver.Stage) func(*entry) (time.Duration, bool) {
	return func(e *entry) (time.Duration, bool) {
		if e.r.Trace == nil || e.r.Trace.Entered[from] == 0 {
			return 0, false
		}
		return e.until(e.r.Trace.Entered[from], to)
	}
}

// until is from a time to when the client came to a stage or a later one.
func (e *entry) until(from time.Duration, to netserver.Stage) (time.Duration, bool) {
	t := e.r.Trace
	for s := to; s <= netserver.StageClose; s++ {
		if at := t.Entered[s]; at != 0 {
			return max(at-from, 0), true
		}
	}
	return 0, false
}

func (e *entry) hello() (time.Duration, bool) {
	t := e.r.Trace
	if t == nil || t.Hello == 0 || t.Entered[netserver.StageHandshake] == 0 {
		return 0, false
	}
	return t.Hello - t.Entered[netserver.StageHandshake], true
}

func (e *entry) turn() (time.Duration, bool) {
	t := e.r.Trace
	if t == nil || t.Turn == 0 {
		return 0, false
	}
	return t.Turn - max(t.Hello, t.Entered[netserver.StageHandshake]), true
}

func (e *entry) handshake() (time.Duration, bool) {
	if t := e.r.Trace; t != nil && t.Turn != 0 {
		return e.until(t.Turn, netserver.StageAccess)
	}
	return 0, false
}

func (e *entry) place() (time.Duration, bool) {
	t := e.r.Trace
	if t == nil || t.Entered[netserver.StageHandler] == 0 {
		return 0, false
	}
	if t.Placed == 0 { // it left before there was one
		return e.until(t.Entered[netserver.StageHandler], netserver.StageClose)
	}
	return t.Placed - t.Entered[netserver.StageHandler], true
}

func (e *entry) handler() (time.Duration, bool) {
	if t := e.r.Trace; t != nil && t.Placed != 0 {
		return e.until(t.Placed, netserver.StageClose)
	}
	return 0, false
}
