package netserver

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"netserver/internal/deadline"
	"netserver/internal/park"
	"netserver/internal/relay"
	"netserver/proto"
)

// ErrParked is what Park, ParkFor and ParkBeside return, and Serve after them. A
// Handler that wraps another gets it from that one's Serve: the client is still
// there, up to the end of its context.
var ErrParked = errors.New("the client is parked: Serve has to return this error")

// Park gives the client's goroutine back: Serve ends with
//
//	return c.Park(next)
//
// and next.Serve is called, on another goroutine and with the same Conn, when
// the client has sent something, has left, a limit or a deadline of its has
// passed, the server drains (after EndReadsOnDrain), the client is cut, or Wake
// is called. Next has to find out by TryRead which of that it is, and may park
// the client again. Nothing else ends by it: the client keeps its places, its
// limits, its context and its record. Bytes that have been read ahead, of which
// Buffered tells, have come: next is called at once.
//
// While it is parked a client has no goroutine and no buffer. On systems other
// than Linux, and on connections of foreign kinds, a goroutine waits for each.
//
// Clients that wake go on on few goroutines, where one that blocks does not hold
// up others for long. Those of a next that is proto.Serial go on one at a time.
//
// Park must be called by the Handler's goroutine, and after it nothing else of
// the Conn but Wake, Write and what may be called at any time.
func (c *Conn) Park(next Handler) error { return c.ParkFor(next, true, false) }

// ParkFor is Park for a client that waits until it has sent something, if input
// is true, and until it can be written to, if output is true.
func (c *Conn) ParkFor(next Handler, input, output bool) error {
	p := c.parked(next)
	p.next, p.asked, p.in, p.out, p.alone = next, true, input, output, false
	return ErrParked
}

// CanParkBeside reports whether the client can wait for what comes from it or from
// other with no goroutine: on Linux, with TCP and UNIX sockets, also below TLS.
func (c *Conn) CanParkBeside(other net.Conn) bool {
	_, tries := c.nc.(proto.Trier)
	return c.l.datagram == nil && relay.IsSocket(proto.Socket(other)) && c.run.parks.open(c.run).Polls() &&
		(c.rc != nil || tries && relay.IsSocket(proto.Socket(c.raw)))
}

// ParkBeside is Park for a client that has to do with another connection: next is
// called also when something has come from other, or that has failed, and on a
// goroutine of its own, on which it may wait. CanParkBeside has to have said that
// this can be done. It has to be the same connection each time, and whoever ends
// the client's Serve closes it.
func (c *Conn) ParkBeside(next Handler, other net.Conn) error {
	p := c.parked(next)
	p.spot.Beside(relay.RawOf(proto.Socket(other)))
	p.next, p.asked, p.in, p.out, p.alone = next, true, true, false, true
	if u, ok := other.(proto.Unreader); ok && u.Unread() {
		p.spot.Wake()
	}
	return ErrParked
}

// parked returns what there is of a client that is to be parked.
func (c *Conn) parked(next Handler) *parking {
	p := c.parking.Load()
	if p == nil {
		p = &parking{c: c}
		p.spot.Init(p, c.run.parks.open(c.run), c.run.parks.crewFor(next), c.pollable())
		if s := c.session(); s != nil {
			s.Notify(p.spot.Wake)
		}
		c.parking.Store(p)
	}
	return p
}

// Wake has the next of Park called, of a client that is parked or will be. It
// may be called at any time, from any goroutine, and waits for nothing. It does
// nothing for a client that has never been parked.
func (c *Conn) Wake() {
	if p := c.parking.Load(); p != nil {
		p.spot.Wake()
	}
}

// A parking is what there is of a client that gives its goroutine back.
type parking struct {
	spot    park.Spot
	c       *Conn
	next    Handler
	asked   bool          // Park was called, and Serve has not returned yet
	in, out bool          // what it waits for
	ended   bool          // what is left is finish
	alone   bool          // next gets a goroutine of its own
	lookout chan struct{} // closed at the end of the goroutine that waits for it; nil without one
	lookErr error         // of that
	blocked atomic.Int64  // since when it takes no bytes, in Unix nanoseconds; 0 if it does
	until   atomic.Int64  // when to look whether it does; 0 is never
}

// outLook is how often a client is asked whether it takes bytes where its socket
// does not tell.
const outLook = 20 * time.Millisecond

// pollable returns the socket that tells when the client has something, or nil
// if a goroutine has to wait.
func (c *Conn) pollable() syscall.RawConn {
	_, tries := c.nc.(proto.Trier)
	if !c.run.parks.lot.Polls() || c.rc == nil && !tries {
		return nil
	}
	if c.rc != nil {
		return c.rc
	}
	return relay.RawOf(proto.Socket(c.raw))
}

// served says what the end of a Handler means.
func (c *Conn) served(err error) error {
	if p := c.parking.Load(); p != nil && p.asked {
		p.asked = false
		if errors.Is(err, ErrParked) {
			return ErrParked
		}
	}
	return orServed(err)
}

// goOn is the step of a client that was parked.
func (c *Conn) goOn() error { return c.served(c.parking.Load().next.Serve(c.ctx, c)) }

// park leaves the client in the lot, where GoOn takes it up.
func (c *Conn) park() {
	p := c.parking.Load()
	out := p.out || c.Unsent() > 0
	p.stall(out)
	if p.in {
		c.rates.BeginRead()
	}
	if out {
		c.rates.BeginWrite()
	}
	p.out = out
	if p.in && c.hasCome() || c.limits.Due() || c.cause() != nil {
		p.spot.Wake()
	} else if p.in && c.l.datagram == nil && !p.spot.Polled() {
		p.lookout = make(chan struct{})
		go c.lookOut(p, p.lookout)
	}
	if err := p.spot.Park(p.in, out); err != nil { // the poller takes no more, or the connection is closed
		p.spot.Wake()
		if c.cause() == nil && !errors.Is(err, net.ErrClosed) {
			c.cut(err)
		}
		p.spot.Park(false, false)
	}
}

// stall notes when to look whether the client takes bytes.
func (p *parking) stall(out bool) {
	end, limit := int64(0), p.c.limits.WriteLimit()
	now := time.Now().UnixNano()
	if out && limit > 0 {
		p.blocked.CompareAndSwap(0, now)
		end = p.blocked.Load() + int64(limit)
	}
	if soon := now + int64(outLook); out && !p.spot.Polled() && (end == 0 || soon < end) {
		end = soon
	}
	p.until.Store(end)
}

// Deadline returns when to wake the client if nothing else does.
func (p *parking) Deadline(now time.Time) time.Time {
	end := p.c.limits.Parked(now)
	if until := p.until.Load(); until > 0 {
		end = deadline.Nearest(end, time.Unix(0, until))
	}
	return end
}

// GoOn goes on with a client that was parked.
func (p *parking) GoOn() {
	c := p.c
	if p.ended {
		c.finish()
		return
	}
	if p.lookout != nil {
		c.nc.SetReadDeadline(time.Unix(1, 0))
		<-p.lookout
		p.lookout = nil
		c.limits.Renew(c.nc)
	}
	if p.in {
		c.rates.EndRead()
	}
	if p.out {
		c.rates.EndWrite()
	}
	if c.Unsent() > 0 {
		c.TryWrite(nil) // an error is told by what the Handler does next
	}
	if p.alone {
		go c.advance(laneWoken)
		return
	}
	c.advance(laneWoken)
}

// leaves has a client's end not hold up others that go on one at a time.
func (c *Conn) leaves() bool {
	p := c.parking.Load()
	general := c.run.parks.general
	if p.spot.Crew() == general {
		return false
	}
	p.ended = true
	p.spot.Move(general)
	return true
}

// lookOut waits for a client's input where no poller does.
func (c *Conn) lookOut(p *parking, done chan struct{}) {
	defer close(done)
	n, err := c.readAhead(bufferSize)
	if n > 0 {
		c.lines.buf.w += n
		c.gotBytes(n)
	} else {
		c.lines.buf.settle()
	}
	if !deadline.IsTimeout(err) {
		p.lookErr = err
	}
	p.spot.Wake()
}

// hasCome reports whether there is input that a socket would not tell of.
func (c *Conn) hasCome() bool {
	if s := c.session(); s != nil {
		return s.HasCome()
	}
	if c.l.datagram != nil || c.lines.buf.len() > 0 {
		return true
	}
	u, ok := c.nc.(proto.Unreader)
	return ok && u.Unread()
}

// TryRead is Read without waiting: it reads what has come, and 0 and nil is
// nothing. It returns the error of a limit or deadline that has passed, if
// nothing has come. Where clients are parked with a goroutine each, only what
// came while the client was parked has come.
func (c *Conn) TryRead(b []byte) (int, error) {
	if c.lines.buf.len() > 0 {
		return c.Read(b)
	}
	for {
		if c.limits.Due() {
			c.limits.ArmRead(c.nc) // what has come is read first
		}
		n, err := c.tryRead(b)
		if n > 0 {
			c.gotBytes(n)
			return n, nil
		}
		switch {
		case err == nil && c.limits.Expired() != nil:
			return 0, c.readErr(os.ErrDeadlineExceeded)
		case err == nil:
			return 0, c.cause()
		case !c.limits.Early(err):
			return 0, c.readErr(err)
		}
		c.limits.ArmRead(c.nc)
	}
}

func (c *Conn) tryRead(b []byte) (int, error) {
	if s := c.session(); s != nil {
		if !s.HasCome() {
			return 0, nil
		}
		return s.Read(b)
	}
	if c.l.datagram != nil {
		return c.nc.Read(b)
	}
	if c.rc != nil {
		return relay.TryRead(c.rc, c.nc, b)
	}
	if t, ok := c.nc.(proto.Trier); ok {
		if n, err := t.TryRead(b); !errors.Is(err, errors.ErrUnsupported) {
			return n, err
		}
	}
	if p := c.parking.Load(); p != nil {
		return 0, p.lookErr
	}
	return 0, nil
}

// TryWrite is Write without waiting: it takes as much of b as can be sent
// soon, which may be nothing, and returns how much. What it has taken and not
// sent yet, of which Unsent tells, is a TLS record at most; the engine sends it
// while the client is parked. With an empty b it sends that. A datagram is sent
// as a whole. ErrWriteStalled tells that the client took no bytes for
// Config.Timeouts.Write. It must not be called while another TryWrite or Write
// runs. On connections of foreign kinds it waits, as Write does.
func (c *Conn) TryWrite(b []byte) (n int, err error) {
	before := c.Unsent()
	switch t, ok := c.nc.(proto.Trier); {
	case c.l.datagram != nil:
		return c.Write(b)
	case ok:
		n, err = t.TryWrite(b)
	case c.rc != nil:
		n, err = relay.TryWrite(c.rc, c.nc, b)
	default:
		return c.Write(b)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return c.Write(b)
	}
	if n > 0 {
		c.traffic.out.Add(uint64(n))
	}
	moved := n > 0 || before > c.Unsent()
	if moved {
		c.limits.Active()
	}
	if p := c.parking.Load(); p != nil && err == nil {
		err = p.took(moved, len(b) > 0 || before > 0)
	}
	return n, c.writeErr(err)
}

// took notes whether the client has taken bytes, if there were some for it.
func (p *parking) took(moved, some bool) error {
	limit, now := p.c.limits.WriteLimit(), time.Now().UnixNano()
	switch {
	case moved:
		p.blocked.Store(0)
	case some && limit > 0 && !p.blocked.CompareAndSwap(0, now) && now-p.blocked.Load() >= int64(limit):
		return ErrWriteStalled
	}
	return nil
}

// Unsent returns how many bytes TryWrite has taken and not sent yet, as they
// are on the wire.
func (c *Conn) Unsent() int {
	if t, ok := c.nc.(proto.Trier); ok {
		return t.Holds()
	}
	return 0
}

// parks are the parked clients of a run, if there are any.
type parks struct {
	mu      sync.Mutex
	jobs    sync.WaitGroup
	lot     *park.Lot
	general *park.Crew         // goes on with most clients
	serial  map[any]*park.Crew // and with those that go on one at a time
}

// open returns the lot, which the first client opens.
func (ps *parks) open(r *run) *park.Lot {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.lot == nil {
		ps.lot, ps.general = park.NewLot(), park.NewCrew(false)
		ps.jobs.Go(ps.lot.Run)
	}
	return ps.lot
}

// crewFor returns who goes on with clients whose next this is.
func (ps *parks) crewFor(next Handler) *park.Crew {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	s, ok := next.(proto.Serial)
	if !ok || s.Serial() == nil {
		return ps.general
	}
	key := s.Serial()
	c := ps.serial[key]
	if c == nil {
		if ps.serial == nil {
			ps.serial = make(map[any]*park.Crew)
		}
		c = park.NewCrew(true)
		ps.serial[key] = c
	}
	return c
}

// close ends what the parked clients had. Nobody is parked any more.
func (ps *parks) close() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.lot == nil {
		return
	}
	ps.lot.Close()
	ps.jobs.Wait()
	ps.general.Close()
	for _, c := range ps.serial {
		c.Close()
	}
}
