package hello

// Longest is as much as is waited for of a hello that must be whole whatever
// its length, in bytes: a message of 16 KiB, which is three times the largest
// that clients send, and the headers of its records. Short is as much as is
// waited for otherwise; what does not fit is left to the handshake.
const (
	Longest = 20 << 10
	Short   = 4 << 10
)

const (
	recordHandshake = 22 // type of a TLS record that carries a hello
	recordHeader    = 5  // bytes before what it carries
	maxRecord       = 16 << 10
	messageHello    = 1 // type of a handshake message
	messageHeader   = 4
)

// Message returns the ClientHello message that b begins with, which may stand
// in several records. need is how many bytes of b there must be for it to be
// whole, or to tell more; it is 0 if it is whole, or if message is nil, as b
// does not begin with a hello or that is longer than Longest.
func Message(b []byte) (message []byte, need int) {
	at, records := 0, 0
	for {
		if len(b) > at && b[at] != recordHandshake || len(b) > at+1 && b[at+1] != 3 {
			return nil, 0
		}
		if len(b) < at+recordHeader {
			return nil, bounded(at + recordHeader)
		}
		n := int(b[at+3])<<8 | int(b[at+4])
		end := at + recordHeader + n
		if n == 0 || n > maxRecord || end > Longest {
			return nil, 0
		}
		content := b[at+recordHeader : min(end, len(b))]
		switch records {
		case 0:
			message = content
		case 1:
			message = append(make([]byte, 0, len(b)), message...)
			fallthrough
		default:
			message = append(message, content...)
		}
		whole := messageHeader
		if len(message) > 0 && message[0] != messageHello {
			return nil, 0
		}
		if len(message) >= messageHeader {
			whole += int(message[1])<<16 | int(message[2])<<8 | int(message[3])
		}
		switch {
		case whole > Longest:
			return nil, 0
		case len(b) < end:
			return nil, end
		case len(message) >= whole && len(message) >= messageHeader:
			return message[:whole], 0
		}
		at = end
		records++
	}
}

// Begins reports whether b, the first bytes of a connection, begins as a
// ClientHello does, as far as it goes. If Message finds none in it that can be
// whole, TLS may still take it for one.
func Begins(b []byte) bool {
	for i, want := range [...]byte{0: recordHandshake, 1: 3} {
		if i >= len(b) {
			return len(b) > 0
		}
		if b[i] != want {
			return false
		}
	}
	return len(b) <= recordHeader || b[3] == 0 && b[4] == 0 || b[recordHeader] == messageHello
}

func bounded(need int) int {
	if need > Longest {
		return 0
	}
	return need
}
