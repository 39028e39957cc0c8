package relay_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"netserver/internal/relay"
)

// TestLingerDeliversWhatWasWritten to a client that still sends: closed with
// unread input, its connection would be reset and the answer lost.
func TestLingerDeliversWhatWasWritten(t *testing.T) {
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(t *testing.T) {
			srv, cl := pair(t, kind)
			io.WriteString(cl, "what nobody reads")
			done := make(chan struct{})
			go func() {
				defer close(done)
				io.WriteString(srv, "answer")
				relay.Linger(srv, srv, make([]byte, 4))
				srv.Close()
			}()
			if got, err := io.ReadAll(cl); string(got) != "answer" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			cl.Close()
			<-done
		})
	}
}

// A half is a connection whose writing end can be closed, or not.
type half struct {
	net.Conn
	err    error
	closed int
}

func (h *half) CloseWrite() error { h.closed++; return h.err }

// TestLingerIsBounded in time and bytes.
func TestLingerIsBounded(t *testing.T) {
	t.Run("time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv, _ := pair(t, "pipe")
			begin := time.Now()
			relay.Linger(&half{Conn: srv}, srv, make([]byte, 10))
			if d := time.Since(begin); d != relay.LingerTime {
				t.Errorf("%v", d)
			}
		})
	})
	t.Run("bytes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv, cl := pair(t, "pipe")
			begin := time.Now()
			read := make(chan int)
			go func() {
				n := 0
				for {
					m, err := cl.Write(make([]byte, 64<<10))
					if n += m; err != nil {
						read <- n
						return
					}
				}
			}()
			relay.Linger(&half{Conn: srv}, srv, make([]byte, 64<<10))
			srv.Close()
			if n := <-read; n != 1<<20 || time.Since(begin) > 0 {
				t.Errorf("%d bytes were read in %v", n, time.Since(begin))
			}
		})
	})
}

// TestLingerEndsTheSending of TLS, or of what carries it if TLS has ended with
// an alert; it does not wait for a connection that can do neither.
func TestLingerEndsTheSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("the alert was the last")
		for _, tt := range []struct {
			above, raw *half
			waits      bool
		}{
			{&half{}, &half{}, true},
			{&half{err: broken}, &half{}, true},
			{&half{err: broken}, &half{err: broken}, false},
		} {
			srv, _ := pair(t, "pipe")
			tt.above.Conn, tt.raw.Conn = srv, srv
			begin := time.Now()
			relay.Linger(tt.above, tt.raw, make([]byte, 1))
			if waited := time.Since(begin) > 0; waited != tt.waits || tt.above.closed != 1 || (tt.above.err != nil) != (tt.raw.closed == 1) {
				t.Errorf("%v: waited %v, closed %d and %d", tt.above.err, waited, tt.above.closed, tt.raw.closed)
			}
		}
		srv, _ := pair(t, "pipe")
		begin := time.Now()
		relay.Linger(srv, srv, nil)
		if time.Since(begin) > 0 {
			t.Error("it waits for a connection that cannot end its sending alone")
		}
	})
}
