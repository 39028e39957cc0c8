// Package logs holds what a server writes its log with: slog handlers for
// Net::Server's line format (NewLine) and for JSON (NewJSON), Net::Server's
// levels 0 to 4, a log file that can be opened again after it was moved
// (OpenFile), and a queue that keeps a slow log from delaying a client (Async).
//
//	f, err := logs.OpenFile("/var/log/server.log")
//	...
//	q := logs.NewAsync(f, 0, logs.NewLine)
//	log := slog.New(logs.NewLine(q, logs.Options{Level: logs.Level(3)}))
package logs
