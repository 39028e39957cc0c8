package httpd_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"netserver/outcome"
)

// A recordCount counts the TLS records that are read from a connection.
type recordCount struct {
	net.Conn
	head []byte // of the record being read
	left int    // bytes of its body that are to come
	n    int
}

func (c *recordCount) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	for p := b[:n]; len(p) > 0; {
		if c.left > 0 {
			m := min(c.left, len(p))
			c.left, p = c.left-m, p[m:]
			continue
		}
		c.head, p = append(c.head, p[0]), p[1:]
		if len(c.head) == 5 {
			c.left = int(c.head[3])<<8 | int(c.head[4])
			c.head = c.head[:0]
			c.n++
		}
	}
	return n, err
}

// TestFileInOneRecord: the head of an answer and a small file go out together,
// in one record and so in one system call.
func TestFileInOneRecord(t *testing.T) {
	const body = 700 // net/http looks at the first 512 by themselves
	r := start(t, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader(strings.Repeat("x", body)))
	}, "ssl")
	nc, err := net.Dial("tcp", r.Addr(t, "ssl").String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	counted := &recordCount{Conn: nc}
	c := tls.Client(counted, r.ClientTLS())
	in := bufio.NewReader(c)
	for i := range 3 {
		before := counted.n
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); len(b) != body {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		// With the first answer come session tickets and the rest of the handshake.
		if n := counted.n - before; i > 0 && n != 1 {
			t.Errorf("answer %d came in %d records, want 1", i, n)
		}
	}
}

// TestClientLeavesFile: who leaves in the middle of a file has left.
func TestClientLeavesFile(t *testing.T) {
	file := make([]byte, 32<<20) // more than sockets hold
	for _, name := range []string{"tcp", "ssl"} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(w http.ResponseWriter, r *http.Request) {
				http.ServeContent(w, r, "a.bin", time.Time{}, bytes.NewReader(file))
			}, name)
			nc, err := net.Dial("tcp", r.Addr(t, name).String())
			if err != nil {
				t.Fatal(err)
			}
			c := nc
			if isTLS(name) {
				c = tls.Client(nc, r.ClientTLS())
			}
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			nc.(*net.TCPConn).SetLinger(0) // a reset
			nc.Close()
			if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Left {
				t.Errorf("%v", rec)
			}
		})
	}
}
