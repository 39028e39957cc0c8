package wire

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"netserver/access"
	"netserver/internal/control"
)

// takeAnswer takes what a worker answers to the control socket: names are
// cleaned, and numbers and lists bounded.
func takeAnswer(s *Peer, from, to *Message) error {
	a := from.Answer
	if a == nil {
		return errors.New("it is empty")
	}
	to.Answer = a
	a.Failed = Clean(a.Failed, maxText)
	if err := a.takePage(); err != nil {
		return err
	}
	return errors.Join(
		atMost("clients", a.Count, maxAtOnce), atMost("networks taken out", a.Lifted, maxAtOnce),
		checkHandshakes(a.Handshakes),
		checkEach("clients", a.Clients, MaxPage, checkClient),
		checkConnection(a.Conn),
		checkEach("limits", a.Limits, MaxLimitRows, checkLimit),
		checkEach("sources", a.Sources, MaxTop, checkSource),
		checkEach("penalties", a.Boxed, MaxBoxed, checkBoxed),
		checkEach("targets", a.Targets, MaxPage, checkTarget),
		checkEach("certificates", a.Certs, MaxPage, func(c *Cert) error { return c.check(s.Ports) }),
		checkEach("explained ports", a.Explained, MaxPage, func(e *Explained) error { return e.check(s.Ports) }),
	)
}

// Fits refuses what q did not ask for.
func (a *Answer) Fits(q Ask) error {
	var have []string
	add := func(what string, is bool) {
		if is && what != q.What {
			have = append(have, what)
		}
	}
	add(AskClients, len(a.Clients) > 0)
	add(AskClient, a.Conn != nil)
	add(AskLimits, len(a.Limits)+len(a.Sources) > 0)
	add(AskBoxed, len(a.Boxed) > 0)
	add(AskStats, a.Handshakes != control.Handshakes{})
	add(AskKill, a.Found)
	add(AskLift, a.Lifted > 0)
	add(AskTargets, len(a.Targets) > 0)
	add(AskTarget, a.Changed)
	add(AskCerts, len(a.Certs) > 0)
	add(AskExplain, len(a.Explained) > 0)
	if c := a.Conn; c != nil && c.ID != strconv.FormatUint(q.Client, 10) {
		return errors.New("answer: another client than was asked for")
	}
	if len(have) > 0 {
		return fmt.Errorf("answer: got %v, asked for %s", have, q.What)
	}
	if n := min(max(q.N, 1), MaxPage); len(a.Clients) > n {
		return fmt.Errorf("answer: got %d clients, asked for %d", len(a.Clients), n)
	}
	return nil
}

func checkEach[T any](what string, list []T, most int, check func(*T) error) error {
	if len(list) > most {
		return fmt.Errorf("%d %s", len(list), what)
	}
	for i := range list {
		if err := check(&list[i]); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

func atMost(what string, n, most int) error {
	if n < 0 || n > most {
		return fmt.Errorf("%d %s", n, what)
	}
	return nil
}

// maxAmount bounds seconds, bytes and whatever else has a unit.
const maxAmount = 1e18

// amount refuses a number that nothing can be measured as; nil is not known.
func amount(what string, n *float64) error {
	if n != nil && (*n < 0 || *n > maxAmount) {
		return fmt.Errorf("%s %g", what, *n)
	}
	return nil
}

func checkHandshakes(h control.Handshakes) error {
	for _, n := range []int{h.Unfinished, h.Waiting, h.Running, h.Sources} {
		if err := atMost("handshakes", n, maxAtOnce); err != nil {
			return err
		}
	}
	if h.Shed > MaxTally {
		return fmt.Errorf("%d handshakes shed", h.Shed)
	}
	return nil
}

func checkClient(c *control.Client) error {
	id, err := strconv.ParseUint(c.ID, 10, 64)
	if err != nil || strconv.FormatUint(id, 10) != c.ID {
		return errors.New("an invalid number")
	}
	for _, s := range []*string{&c.Port, &c.Peer, &c.PeerName, &c.TLS, &c.ServerName, &c.Stage, &c.Doing} {
		*s = Clean(*s, maxText)
	}
	// Its clock is ours, but clocks are set: no reason to end anybody.
	if now := time.Now(); c.Since.Year() < 1970 || c.Since.After(now) {
		c.Since = now
	}
	c.Connected = max(0, min(c.Connected, maxAmount))
	return amount("idle for", c.Idle)
}

func checkLimit(l *control.Limit) error {
	for _, s := range []*string{&l.Key, &l.Port, &l.Unit} {
		*s = Clean(*s, maxText)
	}
	l.Most = nil // ours to say
	if l.Refused > MaxTally {
		return fmt.Errorf("%d refused", l.Refused)
	}
	return errors.Join(amount("value", l.Value), amount("use", l.Use))
}

func checkSource(s *control.Source) error {
	if err := checkNetwork(&s.Network); err != nil {
		return err
	}
	return atMost("clients", s.Clients, maxAtOnce)
}

func checkBoxed(b *control.Boxed) error {
	if err := checkNetwork(&b.Network); err != nil {
		return err
	}
	b.Processes = 1
	return errors.Join(amount("left", &b.Left), atMost("offences", b.Offences, maxAtOnce))
}

func checkNetwork(s *string) error {
	p, err := access.ParseNetwork(*s)
	if err != nil {
		return errors.New("an invalid network")
	}
	*s = NetworkText(p.Masked())
	return nil
}
