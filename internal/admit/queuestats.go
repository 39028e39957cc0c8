package admit

// QueueStats are a Queue's numbers at one moment.
type QueueStats struct {
	Unfinished int    // handshakes that are not finished
	Waiting    int    // of them: wait for a turn
	Running    int    // of them: have it
	Sources    int    // addresses that are remembered
	Shed       uint64 // ended for being too many, ever
}

// Stats returns the numbers.
func (q *Queue) Stats() QueueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return QueueStats{
		Unfinished: q.root.unfinished, Waiting: q.root.waiting, Running: q.root.running,
		Sources: q.leaves, Shed: q.shed,
	}
}
