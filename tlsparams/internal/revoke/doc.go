// Package revoke tells whether client certificates have been revoked, by
// lists (CRLs) and by asking (OCSP).
//
// Of this module it imports internal/certfile and trust, whose Checker it
// implements. Start reading at Lists.Check (store.go) and OCSP.Check (ocsp.go).
package revoke
