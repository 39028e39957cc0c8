package session

import (
	"container/list"
	"net/netip"
)

// A pool holds sessions by source, so that the oldest of the source with the
// most is found at once. Oldest is the one whose client has been silent for the
// longest; among sources with equally many, the one with such a session.
type pool struct {
	n       int
	sources map[netip.Addr]*source
	by      []*list.List // of *source: by[i] are those with i+1 sessions, the longest silent first
	top     int          // the most sessions of a source
}

// A source is where clients come from.
type source struct {
	addr     netip.Addr
	sessions list.List     // of *Conn, the longest silent first
	at       *list.Element // in its pool's list
}

// A place is where a session stands in its source.
type place = *list.Element

// pools are those of a Table.
type pools [2]pool

// of returns the pool that c is in.
func (ps *pools) of(c *Conn) *pool {
	if c.known {
		return &ps[known]
	}
	return &ps[strangers]
}

// touch notes that c's client has sent something.
func (ps *pools) touch(c *Conn) {
	p := ps.of(c)
	if !c.known && c.answered.Load() {
		p.remove(c)
		c.known = true
		ps[known].add(c)
		return
	}
	c.source.sessions.MoveToBack(c.place)
	p.by[c.source.sessions.Len()-1].MoveToBack(c.source.at)
}

func (p *pool) add(c *Conn) {
	a := c.key.source()
	s := p.sources[a]
	if s == nil {
		if p.sources == nil {
			p.sources = make(map[netip.Addr]*source)
		}
		s = &source{addr: a}
		p.sources[a] = s
	} else {
		p.unlist(s)
	}
	p.n++
	c.source, c.place = s, s.sessions.PushBack(c)
	p.list(s)
}

func (p *pool) remove(c *Conn) {
	s := c.source
	p.unlist(s)
	p.n--
	s.sessions.Remove(c.place)
	if s.sessions.Len() > 0 {
		p.list(s)
	} else {
		delete(p.sources, s.addr)
	}
	for p.top > 0 && p.by[p.top-1].Len() == 0 {
		p.top--
	}
}

// list puts s into the list of its number of sessions.
func (p *pool) list(s *source) {
	n := s.sessions.Len()
	for len(p.by) < n {
		p.by = append(p.by, new(list.List))
	}
	s.at = p.by[n-1].PushBack(s)
	p.top = max(p.top, n)
}

// unlist takes s out of it.
func (p *pool) unlist(s *source) { p.by[s.sessions.Len()-1].Remove(s.at) }

// oldest returns the oldest session of the source with the most. There must be
// one.
func (p *pool) oldest() *Conn {
	s := p.by[p.top-1].Front().Value.(*source)
	return s.sessions.Front().Value.(*Conn)
}
