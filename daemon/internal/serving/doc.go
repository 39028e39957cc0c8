// Package serving reads from a configuration what serves the clients of each
// port, and makes the handlers: the echo, a program, a proxy to a target or to a
// [[backend]], and routes to several of them.
//
// A [Config] has the keys, which the whole server, each [[listen]] block and
// each [[listen.route]] can give: what a block does not say for itself, what is
// around it says. [Resolve] makes [Services] of them, and [Services.Make] the
// handlers, in every process anew. How a target is connected to is one set of
// keys (DialConfig) for proxy_to and for backends.
//
// Of this module it imports conf, port, proto, access, the handlers and package
// wire. Start reading at Resolve (service.go); make.go and a file for each kind
// of handler follow.
package serving
