package netserver

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"

	"netserver/access"
	"netserver/internal/admit"
	"netserver/internal/hello"
	"netserver/internal/session"
	"netserver/logs"
	"netserver/outcome"
	"netserver/port"
	"netserver/proto"
	"netserver/sock"
)

// pointsOf is what an outcome counts in the penalty box.
func pointsOf(o outcome.Class) float64 {
	switch o {
	case outcome.FirstByte, outcome.Hello, outcome.Handshake, outcome.Shed:
		return 2
	case outcome.Denied, outcome.NotTLS, outcome.BadHello, outcome.NoCertificate, outcome.BadCertificate, outcome.HandshakeError, outcome.TooSlow, outcome.FirstRequest, outcome.Header, outcome.BadRequest:
		return 1
	case outcome.NoVersion, outcome.NoSuite, outcome.NoProtocol, outcome.UnknownName, outcome.NoRoute, outcome.Reset, outcome.Alert:
		return 0.5
	}
	return 0
}

// mayLog reports whether one more client that ended so may be logged now.
func (r *run) mayLog(o outcome.Class) bool {
	if isNoise(o) {
		return r.samples.AllowKind(int(o))
	}
	return r.samples.Allow()
}

// isNoise reports whether the outcome is what every port on the Internet sees
// all day: it is logged a few times a minute, and then counted.
func isNoise(o outcome.Class) bool {
	switch o {
	case outcome.OverLimit, outcome.Shed, outcome.Penalised, outcome.FirstByte, outcome.Hello,
		outcome.NotTLS, outcome.BadHello, outcome.NoVersion, outcome.NoSuite, outcome.UnknownName, outcome.NoRoute, outcome.Reset, outcome.BadRequest:
		return true
	}
	return false
}

// outcomeOf says in which class a client ended.
func outcomeOf(stage Stage, err error) outcome.Class {
	if err == nil {
		return outcome.Served
	}
	var p *PanicError
	switch {
	case errors.As(err, &p):
		return outcome.Panic
	case errors.Is(err, ErrCut):
		return outcome.Cut
	case errors.Is(err, errKilled):
		return outcome.Killed
	case errors.Is(err, errDenied):
		return outcome.Denied
	case errors.Is(err, proto.ErrChallenge):
		return outcome.Challenge
	case errors.Is(err, proto.ErrBadHello):
		return outcome.BadHello
	case errors.Is(err, proto.ErrNoRoute):
		return outcome.NoRoute
	case errors.Is(err, proto.ErrNoTarget):
		return outcome.NoTarget
	case errors.Is(err, proto.ErrTargetFailed):
		return outcome.TargetFailed
	case errors.Is(err, proto.ErrSlowReceiver):
		return outcome.SlowReceiver
	case errors.Is(err, proto.ErrBadRequest):
		return outcome.BadRequest
	case errors.Is(err, admit.ErrShed) || errors.Is(err, session.ErrEvicted):
		return outcome.Shed
	case errors.Is(err, errOverLimit):
		return outcome.OverLimit
	case errors.Is(err, errProxyHeader):
		return outcome.Header
	case errors.Is(err, errPenalised):
		return outcome.Penalised
	}
	for _, t := range timeouts {
		if errors.Is(err, t.err) {
			return t.outcome
		}
	}
	if stage == StageHandshake {
		return handshakeOutcome(err)
	}
	var start *startError
	switch {
	case isGone(err):
		return outcome.Left
	case errors.As(err, &start):
		return handshakeOutcome(start)
	}
	return outcome.HandlerError
}

// checkGets is how much a health check may have been sent, in bytes: more is
// something that a client has come for.
const checkGets = 512

// quiets reports whether what the client of an address does as a health check is
// for no log.
func (l *listening) quiets(p access.Peer) bool {
	if len(l.cfg.QuietFrom) == 0 || l.datagram != nil {
		return false
	}
	ip := p.IP.WithZone("")
	for _, n := range l.cfg.QuietFrom {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}

// isCheck reports whether a client of QuietFrom has sent nothing but what a
// health check does, and has left.
func (c *Conn) isCheck(r *Record) bool {
	if !c.l.quiets(c.peer) || r.In > 0 || r.Out > checkGets || r.Unseen {
		return false
	}
	switch {
	case r.Stage == StageHeader:
		return r.Outcome == outcome.Header && (errors.Is(r.Err, io.EOF) || errors.Is(r.Err, proto.ErrNoProxyByte))
	case r.Stage == StageHandshake:
		return isSilent(r.Err)
	case r.Stage == StageHandler:
		return r.Outcome == outcome.Served && c.lines.marks.has(markEOF) || r.Outcome == outcome.Left
	}
	return false
}

// isSilent reports whether a client of a TLS port left without a byte.
func isSilent(err error) bool {
	return errors.Is(err, hello.ErrSilent) || errors.Is(err, hello.ErrSilentReset)
}

var timeouts = [...]struct {
	err     error
	outcome outcome.Class
}{
	{errFirstByteTimeout, outcome.FirstByte},
	{errHelloTimeout, outcome.Hello},
	{proto.ErrHelloTimeout, outcome.Hello},
	{errHandshakeTimeout, outcome.Handshake},
	{admit.ErrTimeout, outcome.Handshake},
	{ErrFirstRequestTimeout, outcome.FirstRequest},
	{ErrIdle, outcome.Idle},
	{ErrWriteStalled, outcome.WriteStalled},
	{ErrTooSlow, outcome.TooSlow},
	{ErrMaxLife, outcome.MaxLife},
}

// handshakeOutcome tells what failed in a handshake. crypto/tls has no error
// values for most of it; TestOutcomes compares these words with what it says.
func handshakeOutcome(err error) outcome.Class {
	var cert *tls.CertificateVerificationError
	var alert *proto.ClientAlert
	var name *proto.UnknownNameError
	switch {
	case errors.Is(err, hello.ErrSilent):
		return outcome.Probe
	case errors.Is(err, proto.ErrNotTLS):
		return outcome.NotTLS
	case errors.As(err, &alert):
		return outcome.Alert // what it says about is the server's
	case errors.As(err, &name):
		return outcome.UnknownName
	case errors.As(err, &cert):
		return outcome.BadCertificate
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF):
		return outcome.Reset
	}
	text := err.Error()
	for _, w := range handshakeWords {
		if strings.Contains(text, w.part) {
			return w.outcome
		}
	}
	return outcome.HandshakeError
}

var handshakeWords = [...]struct {
	part    string
	outcome outcome.Class
}{
	{"unsupported versions", outcome.NoVersion},
	{"no supported versions", outcome.NoVersion},
	{"no cipher suite supported", outcome.NoSuite},
	{"no ECDHE curve", outcome.NoSuite},
	{"no key exchanges supported", outcome.NoSuite},
	{"unsupported application protocols", outcome.NoProtocol},
	{"didn't provide a certificate", outcome.NoCertificate},
	{"certificate", outcome.BadCertificate},
}

func (r *run) logRecord(ctx context.Context, rec Record) {
	level := slog.LevelInfo
	msg := "served"
	if rec.Err != nil {
		level, msg = logs.Notice, "failed"
		var p *PanicError
		switch {
		case errors.As(rec.Err, &p):
			level, msg = slog.LevelError, "panicked"
		case errors.Is(rec.Err, errDenied):
			msg = "denied"
		case errors.Is(rec.Err, ErrCut):
			msg = "cut"
		case errors.Is(rec.Err, errKilled):
			msg = "killed"
		case rec.Outcome == outcome.Challenge:
			level, msg = slog.LevelInfo, "challenge answered"
		case rec.Stage == StageHandler && isGone(rec.Err):
			level, msg = slog.LevelInfo, "left"
		}
	}
	if rec.Outcome == outcome.Probe {
		level, msg = slog.LevelDebug, "probe"
	}
	if !r.log.Enabled(ctx, level) || level == logs.Notice && !r.mayLog(rec.Outcome) {
		return
	}
	r.log.LogAttrs(ctx, level, msg, rec.Attrs()...)
}

// logOversize tells of datagrams that were longer than udp_recv_len and
// therefore not served.
func (r *run) logOversize(p port.Spec, l *sock.DatagramListener, from net.Addr, size int) {
	r.log.LogAttrs(context.Background(), logs.Notice, "datagram longer than udp_recv_len; not served",
		slog.String("port", p.Short()), slog.String("peer", from.String()),
		slog.Int("size", size), slog.Uint64("so far", l.Oversize()))
}

// isProbe reports whether the client of a plain port did nothing but connect
// and leave, as health checks of balancers do.
func (c *Conn) isProbe(r *Record) bool {
	if c.l.datagram != nil || c.nc != c.raw || r.Stage != StageHandler || r.In > 0 || r.Out > 0 || r.Unseen {
		return false
	}
	return r.Outcome == outcome.Served && c.lines.marks.has(markEOF) || r.Outcome == outcome.Left
}
