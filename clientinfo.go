package netserver

import (
	"net"
	"slices"
	"time"

	"netserver/internal/deadline"
	"netserver/port"
	"netserver/proto"
)

// A ClientInfo is what can be told of a client while it is here.
type ClientInfo struct {
	ID   uint64
	Port port.Spec
	Peer net.Addr  // as in the client's record
	Host string    // its looked-up name, "" if there is none or it is not known yet
	From time.Time // when it was accepted

	Stage   Stage
	Waiting bool // in StageHandler, for a place there

	In, Out uint64 // bytes that the Handler read and wrote
	// Idle is how long no byte has passed; negative if that is not known: on
	// systems other than Linux, and for clients of UNIX sockets, only an idle
	// limit counts it.
	Idle time.Duration

	TLS        uint16 // version, as crypto/tls numbers them; 0 without TLS or before the end of its handshake
	ServerName string // that the client asked for
}

// clients returns a page of the clients, for Monitor.
func (s *Server) clients(after uint64, n int) []ClientInfo {
	if n <= 0 {
		return nil
	}
	list := lowest{after: after, n: n}
	for _, r := range s.running() {
		r.clients.each(list.add)
	}
	list.settle()
	infos := make([]ClientInfo, len(list.conns))
	for i, c := range list.conns {
		infos[i] = c.info()
	}
	return infos
}

// cut ends the client of that ID.
func (s *Server) cut(id uint64, why error) (found bool) {
	for _, r := range s.running() {
		sh := &r.clients.shards[id%uint64(len(r.clients.shards))]
		sh.mu.Lock()
		for c := range sh.set {
			if c.id == id {
				c.cut(why)
				found = true
			}
		}
		sh.mu.Unlock()
	}
	return found
}

// running returns the runs of Serve that there are.
func (s *Server) running() []*run {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*run, 0, len(s.runs))
	for r := range s.runs {
		list = append(list, r)
	}
	return list
}

// each calls f for each client, one shard locked at a time.
func (cs *clients) each(f func(*Conn)) {
	for i := range cs.shards {
		s := &cs.shards[i]
		s.mu.Lock()
		for c := range s.set {
			f(c)
		}
		s.mu.Unlock()
	}
}

// A lowest collects the n clients of the lowest numbers above one.
type lowest struct {
	after, below uint64 // below: of no use any more; 0 is none
	n            int
	conns        []*Conn
}

func (l *lowest) add(c *Conn) {
	if c.id <= l.after || l.below > 0 && c.id >= l.below {
		return
	}
	if l.conns = append(l.conns, c); len(l.conns) >= 2*l.n+16 {
		l.settle()
	}
}

// settle sorts them and forgets those beyond n.
func (l *lowest) settle() {
	slices.SortFunc(l.conns, func(a, b *Conn) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	if len(l.conns) > l.n {
		l.conns = slices.Delete(l.conns, l.n, len(l.conns))
		l.below = l.conns[l.n-1].id + 1
	}
}

// info reads nothing that the client's goroutine writes without a lock.
func (c *Conn) info() ClientInfo {
	i := ClientInfo{
		ID: c.id, Port: c.l.spec, Peer: c.raw.RemoteAddr(), From: c.begin,
		Stage: c.stage.get(), In: c.traffic.in.Load(), Out: c.traffic.out.Load(), Idle: c.idle(),
	}
	if h := c.forwarded(); h != nil {
		i.Peer = h.Source
	}
	if h := c.verdicts.host.Load(); h != nil {
		i.Host = *h
	}
	i.Waiting = i.Stage == StageHandler && !c.admission.placed.Load()
	if v := c.verdicts.cert.Load(); v != nil {
		if t, ok := v.nc.(proto.Secured); ok {
			st := t.ConnectionState()
			i.TLS, i.ServerName = st.Version, st.ServerName
		}
	}
	return i
}

// idle returns how long no byte has passed, or -1.
func (c *Conn) idle() time.Duration {
	if limit, last := c.limits.IdleLimit(); limit > 0 {
		return max(time.Since(last), 0)
	}
	nc := proto.Socket(c.raw)
	return deadline.Idle(nc)
}
