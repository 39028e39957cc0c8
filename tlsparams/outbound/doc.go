// Package outbound makes the TLS of connections to servers: what the keys
// backend_tls, backend_ca_file and their like say becomes a *tls.Config for each
// server. Their names are those of the SSL_ parameters where both mean the same,
// and so do their values.
//
// Params holds the values. Params.Open loads and checks what they name and
// returns a Source, whose Config is for one connection. While Source.Run runs,
// changed files are read again: what is good is used for new connections, what
// is not leaves everything as it was.
//
// Servers are verified unless the parameters say otherwise: by the authorities of
// the system or of backend_ca_file, and by name. crypto/tls itself verifies
// nothing here, as its errors do not say what to do; verify.go does.
//
// Of this module it imports conf, internal/certfile, internal/watch, tlsparams
// and its parts. Start reading at Params (params.go) and Source (source.go).
package outbound
