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

// A Server signs with the keys of a Ring for any number of processes, each of
// which may ask for so many signatures a second. No more signatures are made
// at a time than there are CPUs, those who wait for one in their order, so
// that whoever asks for many does not keep out others. New makes one.
type Server struct {
	ring  *Ring
	rate  int
	slots chan struct{}
}

// PerCPU is how many signatures a second a process may have by default, for
// each CPU: more than it can shake hands.
const PerCPU = 5000

// New returns a Server with the keys of ring. rate is how many signatures a
// second each process may have; 0 or less is PerCPU for each CPU.
func New(ring *Ring, rate int) *Server {
	n := runtime.GOMAXPROCS(0)
	if rate <= 0 {
		rate = PerCPU * n
	}
	return &Server{ring: ring, rate: rate, slots: make(chan struct{}, n)}
}

// Counts are what one process asked for.
type Counts struct {
	Signed  atomic.Uint64
	Refused atomic.Uint64 // that belong to no handshake
	Slowed  atomic.Uint64 // that had to wait, as there were too many
}

// refusedCost is how many signatures a refused request counts for in the rate.
const refusedCost = 10

// A Refusal is why a request was refused.
type Refusal struct {
	Reason string
	// Chance says that the random number of a client can be the cause. Else
	// none of our processes sends such a request.
	Chance bool
}

// Serve answers the requests that come over c until that ends, and closes it.
// The first request that is refused for a reason is told to refused, if that
// is not nil. The error is nil if the other side ended the connection.
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

// A peer is a process that asks.
type peer struct {
	s       *Server
	c       io.ReadWriteCloser
	counts  *Counts
	refused func(Refusal)
	told    [statuses]bool // what refused was told of
	pace    pace
	skip    int // bytes of a message that is too long, yet to come

	mu   sync.Mutex
	idle sync.Cond
	out  []byte // answers to be written
	free int    // slow signatures that may be begun
	took int    // that are under way
	err  error  // of writing
}

// take answers the whole requests in b, and returns the rest of it at b's
// beginning. Answers of fast keys are written together, by flush.
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

// answer signs here if that is quick or nothing more has come; what comes
// meanwhile is then read at once, and all but the last of it signed elsewhere.
func (p *peer) answer(r request, more bool) {
	k, f, st := p.s.judge(r)
	cost := 1.0
	if st != statusSigned && st != statusDocument {
		cost = refusedCost
	}
	if d := p.pace.spend(time.Now(), cost); d > 0 {
		p.counts.Slowed.Add(1)
		p.flush() // those answered so far need not wait
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

// judge tells with which key and how a request is to be signed, if it is.
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

// sign waits for one of the slots and signs.
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

// begin waits until a slow signature may be begun.
func (p *peer) begin() {
	p.mu.Lock()
	for p.took >= p.free {
		p.idle.Wait()
	}
	p.took++
	p.mu.Unlock()
}

// wait waits until none is under way.
func (p *peer) wait() {
	p.c.Close() // a write must not hold it up
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

// flush writes the answers. A process that does not read them waits for
// itself alone.
func (p *peer) flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.out) > 0 && p.err == nil {
		_, p.err = p.c.Write(p.out)
	}
	p.out = p.out[:0]
	return p.err
}

// A pace lets a number of signatures pass in each second, a tenth of them at
// once.
type pace struct {
	rate float64
	have float64
	last time.Time
}

// spend takes cost signatures, and returns how long they have to wait.
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
