// Package events is the table of what the main log says: each message with what
// it means and what is to be done about it. docs/LOGS.md shows it, with the level
// and the fields that the calls have; a test in docs/ compares it with all calls
// of the engine, the handlers and the daemon.
//
// It imports nothing. Start reading at table.go.
package events
