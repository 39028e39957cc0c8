// Package acme gets certificates from an authority that speaks ACME (RFC 8555),
// keeps them in a directory that TLS ports serve from, and renews them. It runs
// in the supervisor, or in the process that serves alone; processes that meet
// clients have neither the account's key nor the directory.
//
// A Manager works through its names one at a time: schedule.go says when, and
// order.go is one order from its first request to the certificate. Nothing
// waits for it: ports serve what the directory holds, and a name without a
// certificate has a placeholder there.
//
// Nodes of a cluster share what they get (sharing.go): one orders under a lease
// (turn.go), all answer, and take what comes of it (exchange.go). The store is
// not trusted: shared.go seals what goes there.
//
// Of this module it imports cluster, internal/certfile, internal/place,
// internal/metric, tlsparams, daemon/internal/logging and daemon/internal/wire.
// Start reading at Manager.Run (manager.go); storage.go is the directory,
// config.go what may be asked for, httpclient.go bounds what the authority says.
package acme
