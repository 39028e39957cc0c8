package outcome

// A Class is what became of a client.
type Class uint8

// The classes, in the order of their numbers, which may change with a version;
// their names do not.
const (
	Served         Class = iota // the Handler returned without an error
	Left                        // the client left while it was served
	HandlerError                // the Handler returned another error
	Panic                       // the Handler or a hook panicked
	Cut                         // the server stopped
	Denied                      // by a rule or Hooks.Allow
	NoRoute                     // none of the routes of its port was for it
	NoTarget                    // it could not be connected to any target of its backend
	TargetFailed                // its target broke off the connection
	OverLimit                   // refused at accept, for what its source or network has
	Shed                        // ended to keep within max_handshakes, max_memory or the sessions of a datagram port
	Penalised                   // refused at accept, from the penalty box
	Probe                       // connected and left without a byte, on a TLS port before its handshake
	Header                      // PROXY header missing, malformed or late
	FirstByte                   // too late: the first byte
	Hello                       // too late: the end of its hello
	Handshake                   // too late: the end of its handshake
	FirstRequest                // too late: the first byte of a request
	Idle                        // sent and took nothing for too long
	WriteStalled                // took no bytes for too long
	TooSlow                     // below the minimum rate
	MaxLife                     // connected for too long
	BadRequest                  // broke the rules of the port's protocol, HTTP
	NotTLS                      // speaks something else
	BadHello                    // its hello cannot be read, and its route depends on that
	NoVersion                   // no TLS version in common
	NoSuite                     // no cipher suite or curve in common
	NoProtocol                  // no ALPN protocol in common
	UnknownName                 // asked for a name that no certificate is for
	NoCertificate               // showed no certificate where one is required
	BadCertificate              // showed one that is not trusted
	Alert                       // the client refused the handshake, the server's certificate mostly
	Reset                       // left in its handshake
	HandshakeError              // the handshake failed otherwise
	Killed                      // by Monitor.Kill: the operator ended it
	Challenge                   // a certificate authority, which has seen the answer to its challenge
	SlowReceiver                // more waited to be sent to it than its Handler allows
	Count                       // how many there are
)

var names = [Count]string{
	"served", "left", "handler error", "panic", "cut", "denied", "no route", "no target", "target failed", "over limit", "shed", "penalised", "probe", "proxy header",
	"first byte timeout", "hello timeout", "handshake timeout", "first request timeout", "idle timeout", "write timeout", "too slow", "life timeout", "bad request",
	"not tls", "bad hello", "no common version", "no common suite", "no common protocol", "unknown name", "no certificate", "bad certificate",
	"alert", "reset", "handshake error", "killed", "challenge", "slow receiver",
}

// String returns the class's name, as records and counters show it.
func (c Class) String() string {
	if c < Count {
		return names[c]
	}
	return "unknown"
}

// Names returns the names of all classes, by number.
func Names() []string { return append([]string(nil), names[:]...) }
