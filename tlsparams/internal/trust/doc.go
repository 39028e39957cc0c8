// Package trust decides who may come in by client certificate: chain, pins,
// revocation, names. A Rule is judged after each handshake, resumed ones
// included, and again on open connections when something has changed.
//
// Of this module it imports access and internal/certfile. Start reading at
// Rule.Judge (rule.go).
package trust
