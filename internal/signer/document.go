package signer

// isDocument reports whether msg could be a signed ASN.1 document: a SEQUENCE
// or SET whose first two elements could be those of a certificate, a
// certificate request, a revocation list, an OCSP response, the attributes of
// a CMS message, a time stamp, and so on. Lengths may have any form allowed in
// BER, and anything may follow, since some programs accept that (crypto/x509
// does after the last field of a list).
//
// The TLS 1.2 form leaves the requester enough bytes of its choice for a small
// document. About one in 10^8 messages of TLS 1.2 has this form by chance;
// then only the client with that random number fails.
func isDocument(msg []byte) bool {
	if len(msg) == 0 || msg[0] != 0x30 && msg[0] != 0x31 {
		return false
	}
	head, size, ok := elementHead(msg)
	if !ok {
		return false
	}
	body := msg[head:]
	if size < 0 {
		if len(body) < 2 || body[len(body)-1] != 0 || body[len(body)-2] != 0 {
			return false
		}
		body = body[:len(body)-2]
	} else if size != len(body) {
		return false
	}
	return startsDocument(body)
}

// startsDocument reports whether the content of a SEQUENCE begins as that of a
// signed one does: with a number, a SEQUENCE or SET, or a tagged version or
// name, and if there is more, with one of the types that come second.
func startsDocument(body []byte) bool {
	if len(body) == 0 {
		return false
	}
	switch body[0] {
	case 0x02, 0x30, 0x31, 0xa0, 0xa1, 0xa2, 0xa3:
	default:
		return false
	}
	n := element(body)
	if n == 0 || n == len(body) {
		return n > 0
	}
	switch body[n] {
	case 0x02, 0x03, 0x04, 0x06, 0x0a, 0x0c, 0x13, 0x16, 0x17, 0x18, 0x30, 0x31, 0xa0, 0xa1, 0xa2, 0xa3:
		return element(body[n:]) > 0
	}
	return false
}

// element returns the length of the element that b begins with, or 0 if it
// begins with none.
func element(b []byte) int {
	if !plausibleTag(b[0]) {
		return 0
	}
	head, size, ok := elementHead(b)
	switch {
	case !ok:
		return 0
	case size >= 0:
		return head + size
	}
	// Two zero bytes end its elements.
	for n := head; len(b)-n >= 2; {
		if b[n] == 0 && b[n+1] == 0 {
			return n + 2
		}
		m := element(b[n:])
		if m == 0 {
			return 0
		}
		n += m
	}
	return 0
}

// plausibleTag excludes tags that no signed document has: application tags,
// private ones, and numbers above 30.
func plausibleTag(t byte) bool {
	class, number := t>>6, t&0x1f
	return number != 0x1f && (class == 0 && number != 0 || class == 2)
}

// elementHead parses the tag and length at the beginning of b: their size and
// the number of bytes that follow, -1 for an indefinite length. ok is false if
// b is too short.
func elementHead(b []byte) (head, size int, ok bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	n := int(b[1])
	switch {
	case n == 0x80:
		const constructed = 0x20
		return 2, -1, b[0]&constructed != 0
	case n < 0x80:
		return 2, n, n <= len(b)-2
	}
	head = 2 + n&0x7f
	if head > len(b) {
		return 0, 0, false
	}
	for _, l := range b[2:head] {
		if size = size<<8 | int(l); size > len(b) {
			return 0, 0, false
		}
	}
	return head, size, size <= len(b)-head
}
