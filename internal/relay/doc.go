// Package relay copies between a client and another connection: by splice(2)
// where the kernel can, else through buffers that are held only while something
// is in them. It keeps the client's limits while the other end is waited for,
// and ends a connection so that what was written to it arrives. Of this module
// it imports internal/deadline. Start with Copy.
package relay
