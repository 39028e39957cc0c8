// Package dirstore is a cluster.Store in a directory: for one machine, or for
// several that share a file system.
//
// Each write is a file of its own, KEY@NUMBER with "+" for a slash, that is
// written under another name and then linked to the next free number: the file
// system lets one of several writers have that. So there are no locks that a
// process could leave behind, no file is ever half written, and a machine that
// stops in between harms nobody. Changes are seen by events of the system and,
// where it sends none (NFS), by looking once a second.
//
// Only files of this process's user and of root are read: no links, pipes or
// other kinds. Nobody else may be able to write to the directory.
//
// It imports package cluster, cluster/internal/lifetime and internal/place.
// Start reading at Open (open.go).
package dirstore
