package netserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"netserver/access"
	"netserver/conf"
	"netserver/internal/deadline"
	"netserver/proto"
)

// senderUnix is how the key names the clients of UNIX sockets.
const senderUnix = "unix"

// A headerRule is what a port does about PROXY headers.
type headerRule struct {
	optional bool
	Proxy
}

// headerRule returns the rule that e makes, nil for none.
func (e *effective) headerRule() (*headerRule, error) {
	switch p := e.Proxy; {
	case p.Mode == ProxyOff:
		return nil, nil
	case len(p.From) == 0 && !p.FromUnix:
		return nil, fmt.Errorf("%s %s trusts nobody yet: give %s with the addresses or networks of the proxies (or unix)",
			keyProxyProtocol, p.Mode, keyProxyFrom)
	}
	return &headerRule{optional: e.Proxy.Mode == ProxyAccept, Proxy: e.Proxy}, nil
}

// parseSender reads ADDRESS or ADDRESS/BITS.
func parseSender(text string) (netip.Prefix, error) {
	p, err := access.ParseNetwork(text)
	switch {
	case errors.Is(err, access.ErrNoNetwork):
		return p, fmt.Errorf("%.100q is neither ADDRESS, ADDRESS/BITS nor %s", text, senderUnix)
	case err != nil:
		return p, err
	}
	return p, checkPrefix(p)
}

// checkPrefix refuses a network that no address is in, or that says two things.
func checkPrefix(p netip.Prefix) error {
	switch {
	case !p.IsValid():
		return errors.New("the zero Prefix is no network")
	case p.Addr().Is4In6():
		return fmt.Errorf("\"%v\": write the IPv4 network without the prefix ::ffff:0:0/96", p)
	}
	return access.CheckExact(p)
}

// senders binds the senders of PROXY headers.
type senders struct{ p *Proxy }

// Set checks and stores the senders.
func (s senders) Set(vals []conf.Value) error {
	s.p.From, s.p.FromUnix = nil, false
	for _, v := range vals {
		list := conf.Words(v.Text)
		if len(list) == 0 {
			return v.Errorf("%q names no sender", v.Text)
		}
		for _, text := range list {
			if strings.EqualFold(text, senderUnix) {
				s.p.FromUnix = true
				continue
			}
			p, err := parseSender(text)
			if err != nil {
				return v.Errorf("%v", err)
			}
			s.p.From = append(s.p.From, p)
		}
	}
	return nil
}

// Texts returns the senders.
func (s senders) Texts() []string {
	list := prefixes{&s.p.From}.Texts()
	if s.p.FromUnix {
		list = append(list, senderUnix)
	}
	return list
}

// isStream reports whether the clients of a transport are connections.
func isStream(t proto.Transport) bool {
	n := t.Network()
	return n != "unixgram" && !strings.HasPrefix(n, "udp")
}

// trusts reports whether headers of the sender are believed.
func (r *headerRule) trusts(sender access.Peer) bool {
	if sender.Unix {
		return r.FromUnix
	}
	ip := sender.IP.WithZone("")
	for _, p := range r.From {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// readHeader reads the client's PROXY header, within an absolute deadline, and
// lets the client be who it says. It takes no byte beyond the header.
func (c *Conn) readHeader() error {
	limit := c.l.cfg.Timeouts.ProxyHeader
	if limit > 0 {
		c.raw.SetReadDeadline(c.begin.Add(limit))
	}
	h, err := c.takeHeader(c.l.header)
	if err != nil {
		return err
	}
	if limit > 0 {
		c.raw.SetReadDeadline(time.Time{})
	}
	if h != nil {
		c.standFor(h)
	}
	return nil
}

// takeHeader returns the header, nil if there need not be one and is none.
func (c *Conn) takeHeader(rule *headerRule) (*proto.ProxyHeader, error) {
	trusted := rule.trusts(c.peer)
	if !trusted && !rule.optional {
		// Whatever it sends: there is nothing to wait for.
		return nil, c.untrusted()
	}
	if rule.optional {
		match, err := proto.PeekProxyHeader(c.raw)
		switch {
		case err == nil && match == proto.ProxyNone, deadline.IsTimeout(err) && match == proto.ProxyNone:
			return nil, nil
		case err != nil:
			return nil, c.headerErr(err)
		case !trusted:
			return nil, c.untrusted()
		}
	}
	h, err := proto.ReadProxyHeader(c.raw)
	if err != nil {
		return nil, c.headerErr(err)
	}
	return h, nil
}

func (c *Conn) untrusted() error {
	return fmt.Errorf("%w: %w from an untrusted sender (not in %s)", errDenied, errProxyHeader, keyProxyFrom)
}

// headerErr says what a header that could not be read means.
func (c *Conn) headerErr(err error) error {
	switch {
	case deadline.IsTimeout(err):
		return fmt.Errorf("%w not there or not finished in time (%v)", errProxyHeader, c.l.cfg.Timeouts.ProxyHeader)
	case err == io.EOF:
		return fmt.Errorf("%w missing: the client left: %w", errProxyHeader, err)
	case errors.Is(err, proto.ErrNoProxyHeader):
		return fmt.Errorf("%w missing: %w", errProxyHeader, err)
	default:
		return fmt.Errorf("%w: %w", errProxyHeader, err)
	}
}

// standFor makes c the client that the header tells of. From here on rules,
// limits and logs go by that address; what was counted for the sender's has to
// be moved here.
//
// A UNIX client of a sender that is not one itself has no address that a rule
// could judge, and must not pass for a client of a UNIX port here, which no
// address rule concerns: it is judged and counted as its sender.
func (c *Conn) standFor(h *proto.ProxyHeader) {
	c.proxied.Store(h)
	if h.Local {
		return
	}
	if p := access.PeerOf(h.Source); p.IP.IsValid() || c.peer.Unix {
		c.peer = p
	}
}

// ProxyHeader returns the PROXY header that the client's connection began
// with, nil if it had none. Nobody may change it.
func (c *Conn) ProxyHeader() *proto.ProxyHeader { return c.proxied.Load() }

// UniqueID returns an id of the client that no other client has, of this server
// or any other: a random text that is the same for all clients of a Serve, a
// hyphen, and ID in hexadecimal. PROXY headers carry it to targets.
func (c *Conn) UniqueID() string {
	return c.run.name + "-" + strconv.FormatUint(c.id, 16)
}

// addressed tells a Transport which address the client has connected to,
// where a header says so.
func (c *Conn) addressed(ctx context.Context) context.Context {
	if h := c.forwarded(); h != nil {
		return proto.WithLocalAddr(ctx, h.Destination)
	}
	return ctx
}

// forwarded returns the header if it tells of a client.
func (c *Conn) forwarded() *proto.ProxyHeader {
	if h := c.proxied.Load(); h != nil && !h.Local {
		return h
	}
	return nil
}
