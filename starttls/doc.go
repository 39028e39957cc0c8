// Package starttls plays the dialogs by which protocols change from plain text
// to TLS on one connection: the server's part with clients (Server) and the
// client's part with servers (Protocol.Start), a file for each protocol. It
// does no TLS itself.
//
// What the other side says before TLS is bounded in bytes and lines; deadlines
// are the caller's, on the connection. Nothing that came in plain text is taken
// for something that came under TLS (CVE-2011-0411): a Server leaves it unread,
// where Conn.StartTLS refuses it, and Start refuses it itself.
//
// It imports the standard library alone. Start reading at Server.Negotiate
// (server.go); handler/starttls puts it in front of other handlers, and
// handler/proxy uses Start for its targets.
package starttls
