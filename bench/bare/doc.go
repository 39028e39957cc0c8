// Package bare has the servers that one writes by hand, without an engine:
// accept, a goroutine a client, io.Copy. They are what netserver is compared
// with, and the backends of proxies.
//
// It imports nothing of this module. Start reading at Loop.
package bare
