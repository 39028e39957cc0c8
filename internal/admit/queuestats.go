package admit

// QueueStats are a Queue's numbers at one moment.
type QueueStats struct {
	Unfinished int    // handshakes that are not finished
	Waiting    int    // of them: waiting for a turn
	Running    int    // of them: having it
	Sources    int    // addresses remembered
	Shed       uint64 // ended because of a limit, ever
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
