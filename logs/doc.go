// Package logs writes a server's log: slog handlers for Net::Server's line
// format (NewLine), JSON (NewJSON), systemd's journal and syslog,
// Net::Server's levels 0 to 4, a log file that can be reopened after rotation
// (OpenFile), and a queue that keeps a slow log from delaying clients (Async).
//
//	f, err := logs.OpenFile("/var/log/server.log")
//	...
//	q := logs.NewAsync(f, 0, logs.NewLine)
//	log := slog.New(logs.NewLine(q, logs.Options{Level: logs.Level(3)}))
//
// It imports nothing of this module. Start reading at NewLine (line.go) and
// Async (async.go).
package logs
