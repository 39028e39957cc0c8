// Package tickets seals and opens TLS session tickets. Each is tied to a
// binding, a digest of what it was issued under; under another it does not
// open, and the client gets a full handshake.
//
// It imports nothing of this module. Start reading at Keeper (keeper.go);
// secret.go has the keys made from a shared secret, keyfile.go those of
// SSL_ticket_key_file.
package tickets
