// Package signer is the key agent: it keeps private keys in one process and
// signs TLS handshakes for others over a socket. It has the requests and
// answers, the side with the keys (Ring, Server) and the side without
// (Client).
//
// A request carries the whole message, not its hash, as crypto/tls hands it to
// a crypto.MessageSigner. So the side with the keys sees what it signs, and
// signs only the two messages that a server signs in a handshake, TLS 1.3's
// CertificateVerify and TLS 1.2's ServerKeyExchange, and a client's of TLS 1.3 if
// the key was added for that. It decrypts nothing. TLS
// 1.0 and 1.1 pass only hashes; a key signs those only if it was added for
// that use.
//
// It imports nothing of this module. Start reading at Server.Serve (server.go);
// check.go decides what is signed, use.go says what a key may be used for.
package signer
