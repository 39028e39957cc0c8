package signer

import "encoding/binary"

// A request is 12 bytes and a message: its number, the key's, the signature
// scheme (RFC 8446, 4.2.3; 0 is a hash of TLS 1.0 or 1.1), and the message's
// length. An answer is 8 bytes and a signature: the request's number, a
// status, a zero, and the signature's length. All numbers are big-endian.
const (
	requestHead = 12
	answerHead  = 8

	// maxMessage is the longest message of a handshake: TLS 1.2 with P-521.
	maxMessage = 64 + 4 + 133
	// maxSignature is that of RSA with 16384 bits.
	maxSignature = 2048
)

// legacy replaces the scheme for a hash of TLS 1.0 or 1.1.
const legacy = 0

// A status is the result of a request.
type status byte

const (
	statusSigned status = iota
	statusTooLong
	statusNoKey
	statusScheme
	statusMessage
	statusLegacy
	statusFailed
	statusVersion
	statusDocument
	statuses // how many there are
)

// String says what was wrong with the request.
func (s status) String() string {
	switch s {
	case statusSigned:
		return "signed"
	case statusTooLong:
		return "the message is longer than one of a handshake"
	case statusNoKey:
		return "there is no such key"
	case statusScheme:
		return "the signature scheme does not fit the key and the version of TLS"
	case statusMessage:
		return "the message is not one that is signed with this key in a handshake"
	case statusLegacy:
		return "a hash of TLS 1.0 or 1.1 where these are not allowed"
	case statusFailed:
		return "the key cannot make that signature"
	case statusVersion:
		return "no port that has this key allows that version of TLS"
	case statusDocument:
		return "the message could pass for a certificate, a revocation list or another signed document"
	}
	return "unknown status"
}

type request struct {
	id, key uint32
	scheme  uint16
	msg     []byte // nil if it is too long
}

// parseRequest parses one request at the start of b and returns its length, 0
// if it is incomplete. A message that is too long counts but is not kept; skip
// is the number of its outstanding bytes.
func parseRequest(b []byte) (r request, n, skip int) {
	if len(b) < requestHead {
		return r, 0, 0
	}
	r = request{id: binary.BigEndian.Uint32(b), key: binary.BigEndian.Uint32(b[4:]), scheme: binary.BigEndian.Uint16(b[8:])}
	size := int(binary.BigEndian.Uint16(b[10:]))
	have := len(b) - requestHead
	switch {
	case size > maxMessage:
		n := min(size, have)
		return r, requestHead + n, size - n
	case have < size:
		return r, 0, 0
	}
	r.msg = b[requestHead : requestHead+size : requestHead+size]
	return r, requestHead + size, 0
}

// appendRequest appends a request whose message is short enough.
func appendRequest(b []byte, r request) []byte {
	b = binary.BigEndian.AppendUint32(b, r.id)
	b = binary.BigEndian.AppendUint32(b, r.key)
	b = binary.BigEndian.AppendUint16(b, r.scheme)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.msg)))
	return append(b, r.msg...)
}

type answer struct {
	id  uint32
	st  status
	sig []byte
}

// parseAnswer parses one answer at the start of b. n is 0 if it is incomplete;
// ok is false if it is invalid.
func parseAnswer(b []byte) (a answer, n int, ok bool) {
	if len(b) < answerHead {
		return a, 0, true
	}
	size := int(binary.BigEndian.Uint16(b[6:]))
	if size > maxSignature || b[5] != 0 || status(b[4]) >= statuses {
		return a, 0, false
	}
	if len(b) < answerHead+size {
		return a, 0, true
	}
	return answer{id: binary.BigEndian.Uint32(b), st: status(b[4]), sig: b[answerHead : answerHead+size]}, answerHead + size, true
}

func appendAnswer(b []byte, a answer) []byte {
	b = binary.BigEndian.AppendUint32(b, a.id)
	b = append(b, byte(a.st), 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(a.sig)))
	return append(b, a.sig...)
}
