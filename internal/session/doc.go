// Package session makes one connection of all datagrams of a client: they wait
// in its queue, which is bounded and drops, so that a client or a Handler that
// stalls delays no other. The sessions of a port are bounded too: one more ends
// the oldest of the source with the most. It imports nothing of this module.
// Start with Table.
package session
