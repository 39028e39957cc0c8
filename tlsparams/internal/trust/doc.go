// Package trust decides who may come in by client certificate: chain, pins,
// revocation, names. A Rule is judged after each handshake, resumed ones
// included, and again on open connections when something has changed.
package trust
