package tlsparams

import "log/slog"

// What holds secrets says no more than what it is, in logs and with fmt.

// LogValue implements slog.LogValuer.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }

// String names the source by its port.
func (s *Source) String() string { return "TLS parameters of " + s.env.Where }

// GoString is String.
func (s *Source) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (e Env) LogValue() slog.Value { return slog.StringValue(e.String()) }

// String names the environment by its port.
func (e Env) String() string { return "TLS environment of " + e.Where }

// GoString is String.
func (e Env) GoString() string { return e.String() }

// LogValue implements slog.LogValuer.
func (c *Certificate) LogValue() slog.Value { return slog.StringValue(c.Fingerprint()) }

// String returns the fingerprint.
func (c *Certificate) String() string { return c.Fingerprint() }

// GoString is String.
func (c *Certificate) GoString() string { return c.Fingerprint() }
