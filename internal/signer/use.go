package signer

// A Use says what a key may sign. The zero Use allows nothing.
type Use struct {
	// TLS13 allows TLS 1.3's CertificateVerify.
	TLS13 bool
	// TLS12 allows TLS 1.2's ServerKeyExchange.
	TLS12 bool
	// Client allows TLS 1.3's CertificateVerify of a client. That of TLS 1.2
	// signs all of the handshake so far, and is never signed.
	Client bool
	// Marked says that all servers with this key that speak TLS 1.2 speak TLS
	// 1.3 too, so their TLS 1.2 random numbers end with the downgrade mark
	// (RFC 8446, 4.1.3): messages without it are not signed.
	Marked bool
	// Old allows hashes of TLS 1.0 and 1.1: the requester can have any hash
	// signed.
	Old bool
}
