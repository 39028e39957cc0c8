// Package revoke tells whether client certificates have been revoked, by
// lists (CRLs) and by asking (OCSP).
package revoke
