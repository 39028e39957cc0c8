// Package tickets seals and opens TLS session tickets. Each is tied to a
// binding, a digest of what it was issued under; under another it does not
// open, and the client gets a full handshake.
package tickets
