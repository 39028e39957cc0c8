// Package outcome names the classes that clients end in: one for each client,
// and for each connection that was refused at accept. Records, counters and
// limits of package netserver speak of them, as metrics and alerts will:
//
//	Hooks: netserver.Hooks{Closed: func(c *netserver.Conn, r netserver.Record) {
//		ended.WithLabelValues(r.Outcome.String()).Inc()
//		if r.Outcome == outcome.Panic { ... }
//	}}
//
// It imports nothing of this module. Start reading at Class.
package outcome
