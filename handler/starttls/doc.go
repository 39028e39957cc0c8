// Package starttls is a Handler in front of another: it plays the dialog by
// which the clients of a port start TLS (STARTTLS of mail, chat and news
// protocols, SSLRequest of databases), starts TLS, and gives them to the other
// Handler. A proxy there takes the greeting of its backend, which the client has
// had already, and brings the backend to where the client is.
//
// The protocols are in netserver/starttls, which this package imports beside
// netserver and internal/hello. Start reading at Handler.Serve (starttls.go).
package starttls
