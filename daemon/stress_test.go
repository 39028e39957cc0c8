//go:build unix

package daemon_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// victims are the workers that a test has killed. Their clients may be lost,
// and nobody else.
type victims struct {
	mu   sync.Mutex
	pids map[int]bool
	last time.Time
	n    int
}

func (v *victims) kill(pid int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pids[pid] = true
	v.n++
	syscall.Kill(pid, syscall.SIGKILL)
	v.last = time.Now()
}

// excuses reports whether a client of worker pid (0: it never got to know)
// that came at began may have been lost.
func (v *victims) excuses(pid int, began time.Time, err error) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !errors.Is(err, syscall.ECONNREFUSED) && (v.pids[pid] || pid == 0 && v.last.After(began))
}

// A crowd is clients of several kinds; it notes what must not have happened.
type crowd struct {
	v    *victims
	stop chan struct{}
	wg   sync.WaitGroup

	mu                     sync.Mutex
	served, lines, packets int
	bad                    []error
}

func (c *crowd) over() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

func (c *crowd) note(p *int, what string, pid int, began time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		*p++
	case !c.v.excuses(pid, began, err):
		c.bad = append(c.bad, fmt.Errorf("%s of worker %d: %w", what, pid, err))
	}
}

var greetedBy = regexp.MustCompile(`\((\d+)\)`)

// greeted connects and reads the greeting, which names the worker.
func greeted(addr string) (c *client, pid int, err error) {
	if c, err = dial(addr); err != nil {
		return nil, 0, err
	}
	line, err := c.r.ReadString('\n')
	if m := greetedBy.FindStringSubmatch(line); m != nil {
		pid, _ = strconv.Atoi(m[1])
	}
	if err != nil {
		c.Close()
	}
	return c, pid, err
}

// come has clients come, one after the other.
func (c *crowd) come(addr string) {
	for !c.over() {
		began := time.Now()
		cl, pid, err := greeted(addr)
		if err == nil {
			_, err = cl.ask("x")
			cl.Close()
		}
		c.note(&c.served, "a client", pid, began, err)
	}
}

// stay has a client stay and talk; it comes back if its worker was killed.
func (c *crowd) stay(addr string) {
	for !c.over() {
		began := time.Now()
		cl, pid, err := greeted(addr)
		for err == nil && !c.over() {
			if _, err = cl.ask("still here"); err == nil {
				c.note(&c.lines, "", 0, began, nil)
				time.Sleep(20 * time.Millisecond)
			}
		}
		if cl != nil {
			cl.Close()
		}
		if err != nil {
			c.note(&c.lines, "a client that stayed", pid, began, err)
		}
	}
}

// send sends one datagram after the other and waits for each answer.
func (c *crowd) send(addr string) {
	nc, err := net.Dial("udp", addr)
	if err != nil {
		c.note(&c.packets, "a datagram", 0, time.Now(), err)
		return
	}
	defer nc.Close()
	b := make([]byte, 100)
	for i := 0; !c.over(); i++ {
		began := time.Now()
		text := fmt.Sprintf("datagram %d", i)
		_, err := io.WriteString(nc, text)
		// A lost one is found out after this time; an answer that is late
		// belongs to one before.
		nc.SetReadDeadline(began.Add(15 * time.Second))
		for n := 0; err == nil && !strings.Contains(string(b[:n]), `"`+text+`"`); {
			n, err = nc.Read(b)
		}
		c.note(&c.packets, "a datagram", 0, began, err)
	}
}

// descriptors counts those of the supervisor, -1 where that is not known.
func (r *running) descriptors() int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.pid()))
	if err != nil {
		return -1
	}
	return len(list)
}

// Everything that can happen to a server happens at random under load: every
// signal, the death of workers, new files of the program. Nobody but clients
// of the workers that were killed is refused or lost, and at the end nothing
// is left.
func TestStress(t *testing.T) {
	const howLong = 6 * time.Second
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := openDir(t)
	name := filepath.Join(dir, "netserver")
	copyProgram(t, name)
	r := startProgram(t, name, "command", "PreFork", "--port", "127.0.0.1:0", "--port", "127.0.0.1:0/udp", "--max_servers", "6",
		"--min_servers", "2", "--clients_per_server", "8", "--check_for_waiting", "1", "--min_child_ttl", "1")
	addr, udp := r.addr(0), r.addr(1)
	r.serving()
	before, workers := r.descriptors(), len(r.children())
	v := &victims{pids: make(map[int]bool)}
	c := &crowd{v: v, stop: make(chan struct{})}
	for range 3 {
		c.wg.Go(func() { c.come(addr) })
		c.wg.Go(func() { c.stay(addr) })
	}
	c.wg.Go(func() { c.send(udp) })
	signals := []syscall.Signal{syscall.SIGHUP, syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGCHLD}
	enough := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.served >= 20 && c.lines >= 20 && c.packets >= 20
	}
	for began := time.Now(); time.Since(began) < howLong || time.Since(began) < 10*howLong && !enough(); {
		switch n := random.IntN(len(signals) + 2); {
		case n < len(signals):
			r.signal(signals[n])
		case n == len(signals) && time.Since(v.last) > time.Second: // more would be put off by the back-off
			if pids := r.children(); len(pids) > 0 {
				v.kill(pids[random.IntN(len(pids))])
			}
		case n > len(signals) && random.IntN(4) == 0:
			copyProgram(t, name)
			r.signal(syscall.SIGHUP)
		}
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
	}
	close(c.stop)
	c.wg.Wait()
	for i, err := range c.bad {
		if i < 10 {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	t.Logf("%d clients, %d lines of those who stayed, %d datagrams, %d workers killed", c.served, c.lines, c.packets, v.n)
	if c.served < 20 || c.lines < 20 || c.packets < 20 {
		t.Error("the load was none")
	}
	if n := strings.Count(r.text(), "starting a replacement"); n > v.n {
		t.Errorf("%d workers crashed, %d were killed", n, v.n)
	}
	netservertest.Eventually(t, "still serving", func() bool { return once(addr) == nil })
	netservertest.Eventually(t, "the descriptors are back", func() bool {
		// A worker is a link, three pipes and perhaps a descriptor of its process.
		return r.descriptors() <= before+5*max(0, len(r.children())-workers)
	})
	rest := r.children()
	if code := r.end([]syscall.Signal{syscall.SIGTERM, syscall.SIGQUIT}[random.IntN(2)]); code != 0 {
		t.Errorf("seed %d: exit status %d", seed, code)
	}
	for _, pid := range rest {
		if alive(pid) {
			t.Errorf("worker %d is left", pid)
		}
	}
	for _, word := range []string{"panic", "DATA RACE", "is killed", "killing it"} {
		if strings.Contains(r.text(), word) {
			t.Errorf("seed %d: %q in the log", seed, word)
		}
	}
}
