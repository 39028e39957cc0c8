// Package protocol reads the parameters that choose what TLS speaks: versions
// (SSL_version), groups (SSL_ecdh_curve) and ALPN names. Suites are
// cipherlist's.
//
// It imports nothing of this module. Start reading at ParseVersions
// (version.go).
package protocol
