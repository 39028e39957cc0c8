package signer

import (
	"crypto/rand"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Server signs with the keys of a Ring for any number of processes, each
// with its own rate limit. It makes at most one signature per CPU at a time,
// in the order of arrival, so that a busy process does not starve others. New
// makes one.
type Server struct {
	ring  *Ring
	rate  int
	slots chan struct{}
}

// PerCPU is the default rate limit of a process, in signatures per second and
// CPU: more handshakes than it can complete.
const PerCPU = 5000

// New returns a Server with the keys of ring. rate limits the signatures per
// second of each process; 0 or less is PerCPU for each CPU.
func New(ring *Ring, rate int) *Server {
	n := runtime.GOMAXPROCS(0)
	if rate <= 0 {
		rate = PerCPU * n
	}
	return &Server{ring: ring, rate: rate, slots: make(chan struct{}, n)}
}

// Counts are the requests of one process.
type Counts struct {
	Signed  atomic.Uint64
	Refused atomic.Uint64 // not part of a handshake
	Slowed  atomic.Uint64 // delayed by the rate limit
}

// refusedCost is how many signatures a refused request counts as in the rate.
const refusedCost = 10

// A Refusal is why a request was refused.
type Refusal struct {
	Reason string
	// Chance says that a client's random number may be the cause. Otherwise
	// none of our processes sends such a request.
	Chance bool
}

// Serve answers the requests on c until it ends, and closes it. It calls
// refused, unless nil, for the first request refused for each reason. The
// error is nil if the other side ended the connection.
func (s *Server) Serve(c io.ReadWriteCloser, counts *Counts, refused func(Refusal)) error {
	defer c.Close()
	p := &peer{s: s, c: c, counts: counts, refused: refused, free: cap(s.slots), pace: pace{rate: float64(s.rate)}}
	p.idle.L = &p.mu
	defer p.wait()
	buf := make([]byte, 0, 4096)
	for {
		n, err := c.Read(buf[len(buf):cap(buf)])
		buf = p.take(buf[:len(buf)+n])
		if werr := p.flush(); err == nil {
			err = werr
		}
		switch {
		case err == io.EOF || errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return err
		}
	}
}

// A peer is a requesting process.
type peer struct {
	s       *Server
	c       io.ReadWriteCloser
	counts  *Counts
	refused func(Refusal)
	told    [statuses]bool // reasons passed to refused
	pace    pace
	skip    int // outstanding bytes of a message that is too long

	mu   sync.Mutex
	idle sync.Cond
	out  []byte // answers to write
	free int    // slow signatures that may start
	took int    // slow signatures in progress
	err  error  // of writing
}

// take answers the complete requests in b, and returns the rest moved to b's
// beginning. flush writes the answers of fast keys together.
func (p *peer) take(b []byte) []byte {
	rest := b
	for {
		n := min(p.skip, len(rest))
		p.skip, rest = p.skip-n, rest[n:]
		r, n, skip := parseRequest(rest)
		if n == 0 {
			break
		}
		p.skip, rest = skip, rest[n:]
		p.answer(r, len(rest) > 0)
	}
	return b[:copy(b, rest)]
}

// answer signs on this goroutine if that is quick or no further request is
// there; requests that arrive meanwhile are then read at once, and all but the
// last signed on other goroutines.
func (p *peer) answer(r request, more bool) {
	k, f, st := p.s.judge(r)
	cost := 1.0
	if st != statusSigned && st != statusDocument {
		cost = refusedCost
	}
	if d := p.pace.spend(time.Now(), cost); d > 0 {
		p.counts.Slowed.Add(1)
		p.flush() // finished answers need not wait
		time.Sleep(d)
	}
	switch {
	case st != statusSigned:
		p.refuse(r, st)
	case k.fast || !more:
		p.put(p.sign(k, f, r))
	default:
		p.flush()
		p.begin()
		r.msg = append([]byte(nil), r.msg...)
		go p.signSlow(k, f, r)
	}
}

func (p *peer) refuse(r request, st status) {
	p.counts.Refused.Add(1)
	if !p.told[st] && p.refused != nil {
		p.told[st] = true
		p.refused(Refusal{Reason: st.String(), Chance: st == statusDocument})
	}
	p.put(answer{id: r.id, st: st})
}

// judge returns the key and form for signing a request, if it may be signed.
func (s *Server) judge(r request) (*held, form, status) {
	if r.msg == nil {
		return nil, form{}, statusTooLong
	}
	k := s.ring.find(r.key)
	if k == nil {
		return nil, form{}, statusNoKey
	}
	f, st := formOf(k, r)
	return k, f, st
}

// sign waits for a slot and signs.
func (p *peer) sign(k *held, f form, r request) answer {
	msg := r.msg
	if f.hash != 0 {
		h := f.hash.New()
		h.Write(msg)
		msg = h.Sum(nil)
	}
	p.s.slots <- struct{}{}
	sig, err := k.key.Sign(rand.Reader, msg, f.opts)
	<-p.s.slots
	if err != nil || len(sig) > maxSignature {
		return answer{id: r.id, st: statusFailed}
	}
	p.counts.Signed.Add(1)
	return answer{id: r.id, sig: sig}
}

// signSlow signs while further requests are read.
func (p *peer) signSlow(k *held, f form, r request) {
	p.put(p.sign(k, f, r))
	p.flush()
	p.mu.Lock()
	p.took--
	p.idle.Broadcast()
	p.mu.Unlock()
}

// begin waits until a slow signature may start.
func (p *peer) begin() {
	p.mu.Lock()
	for p.took >= p.free {
		p.idle.Wait()
	}
	p.took++
	p.mu.Unlock()
}

// wait waits until none is in progress.
func (p *peer) wait() {
	p.c.Close() // a blocked write must not delay it
	p.mu.Lock()
	for p.took > 0 {
		p.idle.Wait()
	}
	p.mu.Unlock()
}

// put keeps an answer for flush.
func (p *peer) put(a answer) {
	p.mu.Lock()
	p.out = appendAnswer(p.out, a)
	p.mu.Unlock()
}

// flush writes the answers. A process that does not read them delays only
// itself.
func (p *peer) flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.out) > 0 && p.err == nil {
		_, p.err = p.c.Write(p.out)
	}
	p.out = p.out[:0]
	return p.err
}

// A pace limits signatures per second, with bursts of a tenth of them.
type pace struct {
	rate float64
	have float64
	last time.Time
}

// spend charges cost signatures, and returns how long they must wait.
func (p *pace) spend(now time.Time, cost float64) time.Duration {
	burst := max(1, p.rate/10)
	if p.last.IsZero() {
		p.have = burst
	} else {
		p.have = min(burst, p.have+now.Sub(p.last).Seconds()*p.rate)
	}
	p.last = now
	p.have -= cost
	if p.have >= 0 {
		return 0
	}
	return time.Duration(-p.have / p.rate * float64(time.Second))
}
