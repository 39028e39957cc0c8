// Package bridge is what netserver's own command uses of a Server beside its
// public methods: the parts of Listen, so that a supervisor opens the sockets
// that workers serve; what a configuration comes to; and the end of single
// clients. Nobody else needs it, so it is not exported.
//
// A Server's Monitor has these methods too, below its interface:
//
//	engine := bridge.Of(server.Monitor())
//
// The package holds types only; the root package has what they do. Of this
// module it imports what those types name: access, internal/admit, internal/metric, port, proto
// and sock. Start reading at Engine.
package bridge
