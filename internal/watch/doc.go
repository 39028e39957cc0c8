// Package watch reports which of a set of files have changed: at once where
// the system sends events, and by slow polling for file systems that send
// none. Replaced files and symbolic links count.
//
// It imports nothing of this module. Start reading at Watcher.Run (watch.go).
package watch
