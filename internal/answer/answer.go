package answer

import (
	"net"
	"sync"
	"time"

	"netserver/internal/slots"
)

const (
	// places is how many connections may be seen off at once. What comes beyond
	// gets its answer too, but may lose it if it sends something meanwhile.
	places = 64
	// Patience is how long a connection is seen off.
	Patience = time.Second
	// most is how much is read of what it sends.
	most = 64 << 10
)

// Answers answers connections. It may be used by several goroutines.
type Answers struct {
	pool *slots.Pool[int]

	mu     sync.Mutex
	closed bool
	leave  [places]net.Conn // being seen off
	used   int
}

// New returns an Answers, which Close ends.
func New() *Answers {
	a := new(Answers)
	a.pool = slots.NewPool(a.seeOff)
	return a
}

// Give sends text to a TCP or UNIX connection that nothing was written to yet,
// and closes it. It does not wait: so few bytes always fit into a new socket. A
// connection of another kind is closed without an answer.
//
// Closing a socket that has something unread, or to which something comes later,
// resets it, and the peer may lose the answer: some send a request, and all
// would who are slower than us. So the connection is only closed for writing, and
// by a goroutine for reading when the peer has closed it.
func (a *Answers) Give(nc net.Conn, text []byte) {
	c, ok := nc.(interface{ CloseWrite() error })
	if ok {
		if _, err := nc.Write(text); err == nil && c.CloseWrite() == nil {
			if i, ok := a.place(nc); ok {
				a.pool.Run(i)
				return
			}
		}
	}
	nc.Close()
}

// place takes a place for nc, if there is one.
func (a *Answers) place(nc net.Conn) (int, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.used == places {
		return 0, false
	}
	for i, other := range a.leave {
		if other == nil {
			a.leave[i] = nc
			a.used++
			return i, true
		}
	}
	return 0, false
}

// seeOff waits for the end of the connection at a place, and closes it.
func (a *Answers) seeOff(i int) {
	a.mu.Lock()
	nc := a.leave[i]
	a.mu.Unlock()
	nc.SetReadDeadline(time.Now().Add(Patience))
	var buf [512]byte
	for got := 0; got < most; {
		n, err := nc.Read(buf[:])
		if err != nil {
			break
		}
		got += n
	}
	nc.Close()
	a.mu.Lock()
	a.leave[i] = nil
	a.used--
	a.mu.Unlock()
}

// Close closes the connections that are still seen off. Later ones get their
// answer and are closed at once.
func (a *Answers) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, nc := range a.leave {
		if nc != nil {
			nc.Close()
		}
	}
	a.pool.Stop()
}
