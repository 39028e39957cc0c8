package netserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"netserver/access"
	"netserver/conf"
	"netserver/internal/deadline"
	"netserver/proto"
)

// What Config.ProxyProtocol can be.
const (
	ProxyOff     = "off"
	ProxyRequire = "require"
	ProxyAccept  = "accept"
)

// senderUnix is how Config.ProxyProtocolFrom names the clients of UNIX sockets.
const senderUnix = "unix"

// A headerRule is what a port does about PROXY headers.
type headerRule struct {
	optional bool
	unix     bool // who connects by a UNIX socket is trusted
	from     []netip.Prefix
}

// headerRule returns the rule that e makes, nil for none.
func (e *effective) headerRule() (*headerRule, error) {
	if e.ProxyProtocol == ProxyOff {
		return nil, nil
	}
	r := &headerRule{optional: e.ProxyProtocol == ProxyAccept}
	if len(e.ProxyProtocolFrom) == 0 {
		return nil, fmt.Errorf("%s %s trusts nobody yet: give %s with the addresses or networks of the proxies (or unix)",
			keyProxyProtocol, e.ProxyProtocol, keyProxyFrom)
	}
	for _, text := range e.ProxyProtocolFrom {
		if text == senderUnix {
			r.unix = true
			continue
		}
		p, err := parseSender(text)
		if err != nil {
			return nil, fmt.Errorf("%s %w", keyProxyFrom, err)
		}
		r.from = append(r.from, p)
	}
	return r, nil
}

// parseSender reads ADDRESS or ADDRESS/BITS.
func parseSender(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		var a netip.Addr
		if a, err = netip.ParseAddr(text); err == nil && a.Zone() == "" {
			a = a.Unmap()
			return netip.PrefixFrom(a, a.BitLen()), nil
		}
	}
	switch {
	case err != nil || !p.IsValid():
		return p, fmt.Errorf("%q is neither ADDRESS, ADDRESS/BITS nor %s", text, senderUnix)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%q: write the IPv4 network without the prefix ::ffff:0:0/96", text)
	case p != p.Masked():
		return p, fmt.Errorf("%q has bits set behind the first %d: write %v or %v", text, p.Bits(), p.Addr(), p.Masked())
	}
	return p, nil
}

// senders binds Config.ProxyProtocolFrom.
type senders struct{ p *[]string }

// Set checks and stores the senders.
func (s senders) Set(vals []conf.Value) error {
	*s.p = nil
	for _, v := range vals {
		list := conf.Words(v.Text)
		if len(list) == 0 {
			return v.Errorf("%q names no sender", v.Text)
		}
		for _, text := range list {
			if strings.EqualFold(text, senderUnix) {
				text = senderUnix
			} else if _, err := parseSender(text); err != nil {
				return v.Errorf("%v", err)
			}
			*s.p = append(*s.p, text)
		}
	}
	return nil
}

// Texts returns the senders.
func (s senders) Texts() []string { return *s.p }

// isStream reports whether the clients of a transport are connections.
func isStream(t proto.Transport) bool {
	n := t.Network()
	return n != "unixgram" && !strings.HasPrefix(n, "udp")
}

// trusts reports whether headers of the sender are believed.
func (r *headerRule) trusts(sender access.Peer) bool {
	if sender.Unix {
		return r.unix
	}
	ip := sender.IP.WithZone("")
	for _, p := range r.from {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// readHeader reads the client's PROXY header, within an absolute deadline, and
// lets the client be who it says. It takes no byte beyond the header.
func (c *Conn) readHeader() error {
	limit := c.l.cfg.ProxyHeaderTimeout
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
	return fmt.Errorf("%w: %w from an untrusted sender (not in %s)", ErrDenied, ErrProxyHeader, keyProxyFrom)
}

// headerErr says what a header that could not be read means.
func (c *Conn) headerErr(err error) error {
	switch {
	case deadline.IsTimeout(err):
		return fmt.Errorf("%w not there or not finished in time (%v)", ErrProxyHeader, c.l.cfg.ProxyHeaderTimeout)
	case err == io.EOF:
		return fmt.Errorf("%w missing: the client left: %w", ErrProxyHeader, err)
	case errors.Is(err, proto.ErrNoProxyHeader):
		return fmt.Errorf("%w missing: %w", ErrProxyHeader, err)
	default:
		return fmt.Errorf("%w: %w", ErrProxyHeader, err)
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
