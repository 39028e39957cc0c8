package starttls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Codes in place of a version, in the first message of PostgreSQL.
const (
	pgSSLRequest = 1234<<16 | 5679
	pgGSSRequest = 1234<<16 | 5680
)

// ALPNPostgreSQL is the name by which TLS that begins at once, without
// SSLRequest, has to be meant for PostgreSQL.
const ALPNPostgreSQL = "postgresql"

var errPostgres = errors.New("the client speaks neither PostgreSQL nor TLS")

// postgres is the server's part of SSLRequest.
func (d *dialog) postgres() error {
	for {
		if d.count++; d.count > maxCommands {
			return ErrTooMany
		}
		b, err := d.c.Peek(8)
		if err != nil {
			return err
		}
		size, code := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
		request := size == 8 && (code == pgSSLRequest || code == pgGSSRequest)
		switch {
		case !request && (size < 8 || size > 10000):
			return errPostgres
		case !request && d.Optional:
			return errPlain
		case !request:
			d.c.Write(pgError("28000", "this server wants TLS: connect with sslmode=require or stronger"))
			return ErrTLSRequired
		}
		if _, err := io.ReadFull(d.c, make([]byte, 8)); err != nil {
			return err
		}
		answer := "S"
		if code == pgGSSRequest {
			answer = "N"
		}
		if _, err := io.WriteString(d.c, answer); err != nil {
			return err
		}
		if code == pgSSLRequest {
			return errTLS
		}
	}
}

// pgError makes an ErrorResponse.
func pgError(state, text string) []byte {
	body := "SFATAL\x00VFATAL\x00C" + state + "\x00M" + text + "\x00\x00"
	b := binary.BigEndian.AppendUint32([]byte{'E'}, uint32(4+len(body)))
	return append(b, body...)
}

// startPostgres is the client's part.
func (p *peer) startPostgres() error {
	request := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, pgSSLRequest)
	if _, err := p.Write(request); err != nil {
		return err
	}
	b, err := p.next(1)
	switch {
	case err != nil:
		return err
	case b[0] == 'S':
		return nil
	case b[0] == 'N' && len(p.rest()) == 0:
		return ErrNotOffered
	}
	// An old server answers with an error, whose text is not to be trusted.
	return fmt.Errorf("the server answers SSLRequest with %q", safe(string(b)))
}
