package tlsparams

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"

	"netserver/internal/certfile"
	"netserver/tlsparams/internal/sni"
	"netserver/tlsparams/internal/tickets"
	"netserver/tlsparams/internal/trust"
)

// binding is what a ticket is tied to: the port (or what joins several; in a
// cluster without its address, which each machine has of its own), the
// name that the client asked for, and who may come in under it.
func (s *Source) binding(st *site, serverName string) []byte {
	h := sha256.New()
	context := "context " + s.p.SessionIDContext
	switch {
	case s.p.SessionIDContext != "":
	case s.env.Clustered:
		context = "port of all machines " + s.env.TicketPlace
	default:
		context = "port " + s.env.Where
	}
	for _, part := range []string{context, sni.Normal(serverName)} {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	h.Write(st.digest[:])
	return h.Sum(nil)
}

// tieTickets makes c's tickets open only where they were issued. When an
// authority, list, pin or allow list changes, the site's digest does, and all
// its tickets lead to full handshakes.
func (g *generation) tieTickets(c *tls.Config, st *site) {
	s := g.src
	if s.p.TicketLife < 0 || s.p.TicketLife == 0 && g.own != nil && g.own.SessionTicketsDisabled {
		c.SessionTicketsDisabled = true
		return
	}
	c.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		plain, err := ss.Bytes()
		if err != nil {
			return nil, err
		}
		defer clear(plain)
		if len(plain) > maxSession {
			return noTicket(cs.Version)
		}
		return s.tickets.Seal(plain, s.binding(st, cs.ServerName), s.env.now())
	}
	c.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		if _, ok := g.certs.find(cs.ServerName, nil); !ok && cs.ServerName != "" && g.getCertificate == nil {
			return nil, nil // the name is gone: no session may outlive it
		}
		plain := s.tickets.Open(ticket, s.binding(st, cs.ServerName), s.env.now(), st.takesPast(cs.Version))
		if plain == nil {
			return nil, nil
		}
		ss, err := tls.ParseSessionState(plain) // keeps parts of plain
		if err != nil {
			return nil, nil // from another Go version: a full handshake
		}
		return ss, nil
	}
}

// maxSession is the largest session that goes into a ticket, in bytes. A
// session holds the client's chain of certificates, and the client decides how
// long that is. A ticket holds 65,535 bytes, but the hello that brings it back
// has to hold it beside everything else, and larger records than these are
// refused by many.
const maxSession = 16 << 10

// noTicket is what a client gets whose session is too large for a ticket.
// crypto/tls cannot leave the message out once the handshake is here, and an
// error would end the handshake. TLS 1.2 has an empty ticket for this
// (RFC 5077, section 3.3). TLS 1.3 has none, so that the client gets a random
// one, which no key opens: it leads to a full handshake, as no ticket does.
func noTicket(version uint16) ([]byte, error) {
	if version < tls.VersionTLS13 {
		return nil, nil
	}
	t := make([]byte, 32)
	rand.Read(t)
	return t, nil
}

// takesPast reports whether tickets of secrets of the past open in a handshake
// of that version. Who may still have such a secret, a serving process that has
// ended, could make a ticket that says whose certificate its client has shown;
// and could read what TLS 1.2 says after resumption. Without certificates, and
// with TLS 1.3, where each resumption agrees on a new key, neither is so.
func (st *site) takesPast(version uint16) bool {
	return st.mode() == VerifyNone && version >= tls.VersionTLS13
}

// RenewTicketSecret replaces the secret that was Env.TicketSecret when the
// Source was made, if it was from. Tickets are sealed with keys made from
// current. Those of past are opened only where that gains nobody who has one of
// these secrets anything: in TLS 1.3, for clients who are asked for no
// certificate.
func (s *Source) RenewTicketSecret(from, current []byte, past ...[]byte) {
	if s.env.TicketSecret != nil && bytes.Equal(from, s.env.TicketSecret) {
		s.tickets.SetSecrets(current, past...)
	}
}

// loadTicketKeys reads the key files; the first key of the first one seals.
func (s *Source) loadTicketKeys() error {
	if len(s.p.TicketKeyFiles) == 0 {
		return nil
	}
	var all [][]byte
	for _, f := range s.p.TicketKeyFiles {
		data, err := s.loader().Read(certfile.RoleKey, f)
		if err != nil {
			return s.fileError("SSL_ticket_key_file", err)
		}
		keys, err := tickets.ParseKeys(data)
		clear(data)
		if err != nil {
			return s.p.fail(s.env.Where, "SSL_ticket_key_file", f, err.Error(), nil)
		}
		all = append(all, keys...)
	}
	defer func() {
		for _, k := range all {
			clear(k)
		}
	}()
	return s.tickets.SetKeys(all)
}

// mode returns the site's mode with defaults resolved.
func (st *site) mode() VerifyMode {
	switch st.rule.Mode {
	case trust.Optional:
		return VerifyOptional
	case trust.Required:
		return VerifyRequired
	}
	return VerifyNone
}

func (s *Source) checkTickets() error {
	if own := s.env.TLSConfig; own != nil && own.SessionTicketsDisabled && s.p.TicketLife == 0 && (len(s.p.TicketKeyFiles) > 0 || s.env.Hooks.TicketKey != nil) {
		return s.p.fail(s.env.Where, "TLSConfig.SessionTicketsDisabled", "", "is set, so that there are no tickets, but keys for them are given (SSL_ticket_key_file or Server.TLS.Hooks.TicketKey)", nil)
	}
	if s.p.TicketLife < 0 && (len(s.p.TicketKeyFiles) > 0 || s.env.Hooks.TicketKey != nil) {
		return errors.Join(s.p.fail(s.env.Where, "SSL_ticket_life", "", "is 0, so that there are no tickets, but keys for them are given", nil))
	}
	if len(s.p.TicketKeyFiles) > 0 && s.env.Hooks.TicketKey != nil {
		return s.p.fail(s.env.Where, "SSL_ticket_key_file", "", "is given beside a SSL_ticket_keycb; only one can provide the keys", nil)
	}
	return nil
}
