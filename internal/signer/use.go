package signer

// A Use says what a key may sign. The zero Use allows nothing.
type Use struct {
	// TLS13 allows TLS 1.3's CertificateVerify.
	TLS13 bool
	// TLS12 allows TLS 1.2's ServerKeyExchange.
	TLS12 bool
	// Marked says that whoever serves TLS 1.2 with this key serves TLS 1.3
	// too, and so ends its random number in TLS 1.2 with the mark against
	// downgrades (RFC 8446, 4.1.3): without it nothing is signed.
	Marked bool
	// Old allows hashes of TLS 1.0 and 1.1: whoever asks can have any signed.
	Old bool
}
