// Package echo serves echoes: Net::Server's default one, which greets and
// answers line by line, or RFC 862's, which gives bytes back unchanged.
//
// Net::Server's echo also takes commands from its clients: "exit" ends the
// server, "get NAME" and "dump" show its settings. Here only clients on the
// same machine may use them, unless Handler.AllowControl says otherwise; see
// there about servers behind a forwarder. For others such lines are lines like
// any other.
//
// A datagram is answered once, with one datagram. One that claims to come from
// a service that would itself answer the answer (echo, daytime, chargen and
// the like, or the very port it was sent to) gets no answer, so that a forged
// sender does not set two servers talking to each other for ever.
package echo
