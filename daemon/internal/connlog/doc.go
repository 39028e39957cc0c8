// Package connlog makes the lines of the access log of connections: one at the
// end of each, as text, as JSON, or in a format of the operator's. It knows no
// file: a Log has a function that takes lines.
//
//	f, err := connlog.Parse("json")
//	l := &connlog.Log{Write: write}
//	l.Line(f, c, record)
//
// What can be in a line stands in one table (fields.go), which docs/LOGS.md is
// written from. It imports the engine, outcome, logs and
// the names of internal/metric. Start reading at Log.
package connlog
