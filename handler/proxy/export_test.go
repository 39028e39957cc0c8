package proxy

// Waiting is how many clients wait for a place.
func Waiting(b *Backend) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}
