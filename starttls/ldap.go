package starttls

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxLDAP bounds a message before TLS.
const maxLDAP = 4 << 10

const oidStartTLS = "1.3.6.1.4.1.1466.20037"

// Tags of BER and of LDAP's operations.
const (
	berInteger    = 0x02
	berOctets     = 0x04
	berEnumerated = 0x0a
	berSequence   = 0x30

	ldapUnbind   = 0x42
	ldapExtended = 0x77
	ldapAnswered = 0x78 // an extended operation, that is

	ldapSuccess         = 0
	ldapConfidentiality = 13
	ldapProtocolError   = 2
)

var errBER = errors.New("what comes before TLS is no message of LDAP")

// berHeader returns the tag of an element, and the lengths of its header and its
// content. More is how many bytes are needed to tell. It takes lengths in any
// form of up to four bytes, as some clients write them.
func berHeader(b []byte) (tag byte, header, content, more int, err error) {
	if len(b) < 2 {
		return 0, 0, 0, 2, nil
	}
	tag, n := b[0], int(b[1])
	if n < 0x80 {
		return tag, 2, n, 0, nil
	}
	if n &= 0x7f; n == 0 || n > 4 {
		return 0, 0, 0, 0, errBER
	}
	if len(b) < 2+n {
		return 0, 0, 0, 2 + n, nil
	}
	for _, x := range b[2 : 2+n] {
		content = content<<8 | int(x)
	}
	if content < 0 || content > maxLDAP {
		return 0, 0, 0, 0, errBER
	}
	return tag, 2 + n, content, 0, nil
}

// berNext takes an element from the front of b.
func berNext(b []byte) (tag byte, content, rest []byte, err error) {
	tag, header, n, more, err := berHeader(b)
	if err == nil && (more > 0 || header+n > len(b)) {
		err = errBER
	}
	if err != nil {
		return 0, nil, nil, err
	}
	return tag, b[header : header+n], b[header+n:], nil
}

// berWrap makes an element.
func berWrap(tag byte, content ...[]byte) []byte {
	body := slices.Concat(content...)
	if n := len(body); n >= 0x80 {
		return slices.Concat([]byte{tag, 0x82, byte(n >> 8), byte(n)}, body)
	}
	return slices.Concat([]byte{tag, byte(len(body))}, body)
}

// An ldapMessage is one, as far as the dialog needs it.
type ldapMessage struct {
	id   []byte // the content of its number
	op   byte   // its tag
	body []byte // of the operation
}

func parseLDAP(b []byte) (ldapMessage, error) {
	var m ldapMessage
	tag, content, rest, err := berNext(b)
	if err != nil || tag != berSequence || len(rest) > 0 {
		return m, errBER
	}
	tag, id, content, err := berNext(content)
	if err != nil || tag != berInteger || len(id) == 0 || len(id) > 4 || id[0] >= 0x80 {
		return m, errBER
	}
	m.id = id
	m.op, m.body, _, err = berNext(content) // controls may follow
	return m, err
}

// isStartTLS reports whether m asks for TLS.
func (m *ldapMessage) isStartTLS() bool {
	if m.op != ldapExtended {
		return false
	}
	tag, oid, _, err := berNext(m.body)
	return err == nil && tag == 0x80 && string(oid) == oidStartTLS
}

// answer makes the answer to m.
func (m *ldapMessage) answer(code byte, text string) []byte {
	result := [][]byte{{berEnumerated, 1, code}, berWrap(berOctets), berWrap(berOctets, []byte(text))}
	if m.isStartTLS() {
		result = append(result, berWrap(0x8a, []byte(oidStartTLS)))
	}
	return berWrap(berSequence, berWrap(berInteger, m.id), berWrap(ldapResponse(m.op), result...))
}

// ldapResponse returns the tag of the answer to an operation, or 0 if there is
// none.
func ldapResponse(op byte) byte {
	switch op {
	case 0x60, 0x66, 0x68, 0x6c, 0x6e, ldapExtended: // bind, modify, add, rename, compare
		return op + 1
	case 0x63: // search, whose end this is
		return 0x65
	case 0x4a: // delete
		return 0x6b
	}
	return 0
}

// ldapSize returns how long a message is that begins with b, or how many bytes
// are needed to tell.
func ldapSize(b []byte) (size, more int, err error) {
	tag, header, content, more, err := berHeader(b)
	if err == nil && len(b) > 0 && b[0] != berSequence || err == nil && more == 0 && tag != berSequence {
		err = errBER
	}
	return header + content, more, err
}

// message looks at the client's next message and leaves it there.
func (d *dialog) message() ([]byte, error) {
	need := 1
	for {
		b, err := d.c.Peek(need)
		if err != nil {
			return nil, err
		}
		size, more, err := ldapSize(b)
		switch {
		case err != nil:
			return nil, err
		case more == 0 && size > maxLDAP:
			return nil, ErrTooLong
		case more == 0 && len(b) == size:
			return b, nil
		case more == 0:
			more = size
		}
		need = more
	}
}

// ldap is the server's part of RFC 4511, 4.14.
func (d *dialog) ldap() error {
	for {
		if d.count++; d.count > maxCommands {
			return ErrTooMany
		}
		b, err := d.message()
		if err != nil {
			return err
		}
		m, err := parseLDAP(b)
		if err != nil {
			return err
		}
		if d.Optional && !m.isStartTLS() {
			return errPlain // with the message, which is still to be read
		}
		answer, size := m.respond(), len(b)
		if m.op == ldapUnbind {
			err = errGone
		} else if m.isStartTLS() {
			err = errTLS
		}
		if _, err := io.ReadFull(d.c, make([]byte, size)); err != nil {
			return err
		}
		if _, werr := d.c.Write(answer); werr != nil {
			return werr
		}
		if err != nil {
			return err
		}
	}
}

// respond makes the answer to m before TLS; none for what wants none.
func (m *ldapMessage) respond() []byte {
	switch {
	case m.isStartTLS():
		return m.answer(ldapSuccess, "")
	case ldapResponse(m.op) == 0: // unbind and abandon have none
		return nil
	}
	return m.answer(ldapConfidentiality, "start TLS first")
}

// startLDAP is the client's part.
func (p *peer) startLDAP() error {
	request := berWrap(berSequence, []byte{berInteger, 1, 1}, berWrap(ldapExtended, berWrap(0x80, []byte(oidStartTLS))))
	if _, err := p.Write(request); err != nil {
		return err
	}
	for {
		size, more, err := ldapSize(p.buf)
		if err != nil {
			return err
		}
		if more == 0 && size > maxLDAP {
			return errLongReply
		}
		if more == 0 && len(p.buf) >= size {
			b, _ := p.next(size)
			return checkStartTLS(b)
		}
		if err := p.more(); err != nil {
			return err
		}
	}
}

// checkStartTLS says what a server's answer means.
func checkStartTLS(b []byte) error {
	m, err := parseLDAP(b)
	if err != nil {
		return err
	}
	tag, code, rest, err := berNext(m.body)
	if err != nil || m.op != ldapAnswered || tag != berEnumerated || len(code) != 1 {
		return errBER
	}
	if code[0] == ldapSuccess && len(m.id) == 1 && m.id[0] == 1 {
		return nil
	}
	_, _, rest, _ = berNext(rest) // the matched name
	_, text, _, _ := berNext(rest)
	err = fmt.Errorf("the server refuses StartTLS with result %d %q", code[0], safe(string(text)))
	if code[0] == ldapProtocolError {
		err = fmt.Errorf("%w: %w", ErrNotOffered, err)
	}
	return err
}
