package netserver

// Count adds to the bytes of the record, for a Handler that has given the
// client's socket away and learns of what passed there in another way. It may
// be called at any time while the Handler runs.
func (c *Conn) Count(in, out uint64) {
	c.in.Add(in)
	c.out.Add(out)
}

// Uncounted says that nobody counts the client's bytes, since the Handler has
// given the socket away: the record then tells none, and not that there were
// none.
func (c *Conn) Uncounted() { c.uncounted.Store(true) }

// unknown is a number in a record that nobody knows: - in a line, null in JSON.
type unknown struct{}

func (unknown) String() string               { return "-" }
func (unknown) MarshalJSON() ([]byte, error) { return []byte("null"), nil }
