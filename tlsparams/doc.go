// Package tlsparams turns Net::Server's SSL_ parameters into a *tls.Config,
// and says at start which of them cannot be honoured and why.
package tlsparams
