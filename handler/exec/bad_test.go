//go:build unix

package exec_test

import (
	"bufio"
	"fmt"
	"io"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// both runs f with a program that is started for its client, and with one that
// has waited.
func both(t *testing.T, f func(t *testing.T, spare int)) {
	t.Run("started", func(t *testing.T) { f(t, 0) })
	t.Run("waiting", func(t *testing.T) { f(t, 2) })
}

// A program may send more than there is memory for.
func TestProgramSendsAGibibyte(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const size = 1 << 30
	h := sh(fmt.Sprintf("read x; exec head -c %d /dev/zero", size))
	h.Pipes = true
	s := serve(t, h)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := s.dial("tls")
	fmt.Fprintln(c)
	got, err := int64(0), error(nil)
	for err == nil { // a busy machine may need minutes for all of it
		var n int64
		c.SetDeadline(time.Now().Add(time.Minute))
		n, err = io.CopyN(io.Discard, c, 1<<20)
		got += n
	}
	if got != size || err != io.EOF {
		t.Errorf("got %d bytes, %v", got, err)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 32<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if r := s.record(); r.Err != nil || r.Out != size {
		t.Errorf("record: %v, %d bytes", r.Err, r.Out)
	}
}

// A program that never reads and writes for ever, to a client that never reads,
// ends with its client.
func TestProgramWritesForEver(t *testing.T) {
	both(t, func(t *testing.T, spare int) {
		h := sh(`echo $$; trap '' TERM PIPE; while :; do echo more; done 2>/dev/null`)
		h.Spare, h.Pipes, h.KillGrace = spare, true, 100*time.Millisecond
		s := serve(t, h)
		for _, proto := range []string{"tcp", "tls"} {
			c := s.dial(proto)
			pid := readPid(t, c)
			fill(c)
			reset(t, c)
			if r := s.record(); r.Err == nil {
				t.Errorf("%s: no error", proto)
			}
			eventually(t, "the program ends", func() bool { return !alive(pid) })
		}
	})
}

// Programs that exit at once leave no zombies and hold nobody; TestMain looks
// for what is left.
func TestProgramsThatExitAtOnce(t *testing.T) {
	both(t, func(t *testing.T, spare int) {
		h := sh("exit 0")
		h.Spare = spare
		s := serve(t, h)
		var all sync.WaitGroup
		for i := range 100 {
			c := s.dial([]string{"tcp", "tls", "unix"}[i%3])
			all.Go(func() {
				io.Copy(io.Discard, c)
				c.Close()
			})
		}
		all.Wait()
		for range 100 {
			s.record()
		}
	})
}

// The whole group is ended: children, and children of theirs, that ignore TERM.
// A process that has made itself a session of its own goes on, and holds nobody.
func TestWholeGroupIsEnded(t *testing.T) {
	both(t, func(t *testing.T, spare int) {
		h := sh(`trap '' TERM; sh -c 'sleep 1000 & echo $!; wait' & setsid sh -c 'echo $$; exec sleep 1000 <&- >&- 2>&-' & wait`)
		h.Spare, h.Pipes, h.KillGrace = spare, true, 100*time.Millisecond
		netservertest.Peer(t, "setsid")
		s := serve(t, h)
		c := s.dial("tls")
		var pids [2]int
		if _, err := fmt.Fscan(bufio.NewReader(c), &pids[0], &pids[1]); err != nil {
			t.Fatal(err)
		}
		reset(t, c)
		s.record()
		left := 0
		eventually(t, "all but one have ended", func() bool {
			left = 0
			for _, pid := range pids {
				if alive(pid) {
					left++
				}
			}
			return left <= 1
		})
		if left != 1 {
			t.Errorf("%d of 2 processes are left", left)
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
}
