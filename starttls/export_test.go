package starttls

// Renumber changes the numbers in a stream that comes in pieces.
func Renumber(pieces [][]byte, add byte, ofServer bool) (all []byte) {
	n := numbers{add: add}
	var last func(byte) bool
	if ofServer {
		last = endsLogin
	}
	for _, p := range pieces {
		p = append([]byte(nil), p...)
		n.change(p, last)
		all = append(all, p...)
	}
	return all
}
