package proxy

// Waiting is how many clients wait for a place.
func Waiting(b *Backend) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}

// HostName is what targets are told of a name that a client has asked for.
func HostName(name string) string { return hostName(name) }

// QuietLook is how often pairs are looked at that may wait with no goroutine.
const QuietLook = quietLook
