// Package hello waits for the ClientHello of TLS clients as bare sockets: it
// looks at what the kernel holds and takes nothing, so that a client that says
// nothing has no TLS state and, on Linux, no goroutine. Room is where they wait,
// Await waits on a goroutine where there is no Room, and Deferral lets the
// kernel keep silent connections in a flood. Of this module it imports
// internal/deadline. Start with Client and Room.
package hello
