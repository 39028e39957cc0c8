// Package signer keeps private keys in one process and lets others sign TLS
// handshakes with them over a socket: the requests and answers, the side that
// has the keys (Ring, Server) and the side that has not (Client).
//
// A request carries the whole message, not its hash, as crypto/tls hands it to
// a crypto.MessageSigner. So the side with the keys sees what it signs, and
// signs nothing but the two messages that a server signs in a handshake:
// TLS 1.3's CertificateVerify and TLS 1.2's ServerKeyExchange. It decrypts
// nothing. TLS 1.0 and 1.1 hand over hashes alone; a key is open to those only
// if it was added so.
package signer
