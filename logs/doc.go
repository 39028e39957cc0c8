// Package logs holds slog handlers: Net::Server's line format, JSON, and the
// numeric levels 0 to 4.
package logs
