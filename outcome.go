package netserver

import (
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"syscall"

	"netserver/internal/admit"
	"netserver/internal/hello"
	"netserver/proto"
)

// An Outcome is the one class that a client's life ends in. Each client, and
// each connection that was refused at accept, is counted under one.
type Outcome uint8

// The outcomes.
const (
	OutcomeServed         Outcome = iota // the Handler returned without an error
	OutcomeLeft                          // the client left while it was served
	OutcomeHandlerError                  // the Handler returned another error
	OutcomePanic                         // the Handler or a hook panicked
	OutcomeCut                           // the server stopped
	OutcomeDenied                        // by a rule or Hooks.Allow
	OutcomeOverLimit                     // refused at accept, for what its source or network has
	OutcomeShed                          // ended to keep within max_handshakes or max_memory
	OutcomePenalised                     // refused at accept, from the penalty box
	OutcomeProbe                         // left without a byte before its handshake
	OutcomeHeader                        // PROXY header missing, malformed or late
	OutcomeFirstByte                     // too late: the first byte
	OutcomeHello                         // too late: the end of its hello
	OutcomeHandshake                     // too late: the end of its handshake
	OutcomeFirstRequest                  // too late: the first byte of a request
	OutcomeIdle                          // sent and took nothing for too long
	OutcomeWriteStalled                  // took no bytes for too long
	OutcomeTooSlow                       // below the minimum rate
	OutcomeMaxLife                       // connected for too long
	OutcomeNotTLS                        // speaks something else
	OutcomeNoVersion                     // no TLS version in common
	OutcomeNoSuite                       // no cipher suite or curve in common
	OutcomeNoProtocol                    // no ALPN protocol in common
	OutcomeUnknownName                   // asked for a name that no certificate is for
	OutcomeNoCertificate                 // showed no certificate where one is required
	OutcomeBadCertificate                // showed one that is not trusted
	OutcomeAlert                         // the client refused the handshake, the server's certificate mostly
	OutcomeReset                         // left in its handshake
	OutcomeHandshakeError                // the handshake failed otherwise
	OutcomeKilled                        // by Server.Kill: the operator ended it
	Outcomes                             // how many there are
)

var outcomeNames = [Outcomes]string{
	"served", "left", "handler error", "panic", "cut", "denied", "over limit", "shed", "penalised", "probe", "proxy header",
	"first byte timeout", "hello timeout", "handshake timeout", "first request timeout", "idle timeout", "write timeout", "too slow", "life timeout",
	"not tls", "no common version", "no common suite", "no common protocol", "unknown name", "no certificate", "bad certificate",
	"alert", "reset", "handshake error", "killed",
}

// String returns the outcome's name, as records and counters show it.
func (o Outcome) String() string {
	if o < Outcomes {
		return outcomeNames[o]
	}
	return "unknown"
}

// points is what an outcome counts in the penalty box.
func (o Outcome) points() float64 {
	switch o {
	case OutcomeFirstByte, OutcomeHello, OutcomeHandshake, OutcomeShed:
		return 2
	case OutcomeDenied, OutcomeNotTLS, OutcomeNoCertificate, OutcomeBadCertificate, OutcomeHandshakeError, OutcomeTooSlow, OutcomeFirstRequest, OutcomeHeader:
		return 1
	case OutcomeNoVersion, OutcomeNoSuite, OutcomeNoProtocol, OutcomeUnknownName, OutcomeReset, OutcomeAlert:
		return 0.5
	}
	return 0
}

// mayLog reports whether one more client that ended so may be logged now.
func (r *run) mayLog(o Outcome) bool {
	if o.noise() {
		return r.samples.AllowKind(int(o))
	}
	return r.samples.Allow()
}

// noise reports whether the outcome is what every port on the Internet sees
// all day: it is logged a few times a minute, and then counted.
func (o Outcome) noise() bool {
	switch o {
	case OutcomeOverLimit, OutcomeShed, OutcomePenalised, OutcomeProbe, OutcomeFirstByte, OutcomeHello,
		OutcomeNotTLS, OutcomeNoVersion, OutcomeNoSuite, OutcomeUnknownName, OutcomeReset:
		return true
	}
	return false
}

// outcomeOf says in which class a client ended.
func outcomeOf(stage Stage, err error) Outcome {
	if err == nil {
		return OutcomeServed
	}
	var p *PanicError
	switch {
	case errors.As(err, &p):
		return OutcomePanic
	case errors.Is(err, ErrCut):
		return OutcomeCut
	case errors.Is(err, ErrKilled):
		return OutcomeKilled
	case errors.Is(err, ErrDenied):
		return OutcomeDenied
	case errors.Is(err, admit.ErrShed):
		return OutcomeShed
	case errors.Is(err, ErrOverLimit):
		return OutcomeOverLimit
	case errors.Is(err, ErrProxyHeader):
		return OutcomeHeader
	case errors.Is(err, ErrPenalised):
		return OutcomePenalised
	}
	for _, t := range timeouts {
		if errors.Is(err, t.err) {
			return t.outcome
		}
	}
	if stage == StageHandshake {
		return handshakeOutcome(err)
	}
	if isGone(err) {
		return OutcomeLeft
	}
	return OutcomeHandlerError
}

var timeouts = [...]struct {
	err     error
	outcome Outcome
}{
	{ErrFirstByteTimeout, OutcomeFirstByte},
	{ErrHelloTimeout, OutcomeHello},
	{ErrHandshakeTimeout, OutcomeHandshake},
	{admit.ErrTimeout, OutcomeHandshake},
	{ErrFirstRequestTimeout, OutcomeFirstRequest},
	{ErrIdle, OutcomeIdle},
	{ErrWriteStalled, OutcomeWriteStalled},
	{ErrTooSlow, OutcomeTooSlow},
	{ErrMaxLife, OutcomeMaxLife},
}

// handshakeOutcome tells what failed in a handshake. crypto/tls has no error
// values for most of it; TestOutcomes compares these words with what it says.
func handshakeOutcome(err error) Outcome {
	var cert *tls.CertificateVerificationError
	var alert *proto.ClientAlert
	var name *proto.UnknownNameError
	switch {
	case errors.Is(err, hello.ErrSilent):
		return OutcomeProbe
	case errors.Is(err, proto.ErrNotTLS):
		return OutcomeNotTLS
	case errors.As(err, &alert):
		return OutcomeAlert // what it says about is the server's
	case errors.As(err, &name):
		return OutcomeUnknownName
	case errors.As(err, &cert):
		return OutcomeBadCertificate
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF):
		return OutcomeReset
	}
	text := err.Error()
	for _, w := range handshakeWords {
		if strings.Contains(text, w.part) {
			return w.outcome
		}
	}
	return OutcomeHandshakeError
}

var handshakeWords = [...]struct {
	part    string
	outcome Outcome
}{
	{"unsupported versions", OutcomeNoVersion},
	{"no supported versions", OutcomeNoVersion},
	{"no cipher suite supported", OutcomeNoSuite},
	{"no ECDHE curve", OutcomeNoSuite},
	{"no key exchanges supported", OutcomeNoSuite},
	{"unsupported application protocols", OutcomeNoProtocol},
	{"didn't provide a certificate", OutcomeNoCertificate},
	{"certificate", OutcomeBadCertificate},
}
