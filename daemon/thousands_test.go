//go:build unix

package daemon_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// A guest is one of many clients that stay through a reload.
type guest struct {
	net.Conn
	r    *bufio.Reader
	talk func(*guest, string) error
}

// A table is a port and how its guests talk.
type table struct {
	network, addr string
	tls           bool
	guests        int
	talk          func(*guest, string) error
}

func (tb *table) dial() (*guest, error) {
	nc, err := net.DialTimeout(tb.network, tb.addr, 30*time.Second)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(5 * time.Minute))
	if tb.tls {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	return &guest{nc, bufio.NewReaderSize(nc, 256), tb.talk}, nil
}

func talkToEcho(g *guest, word string) error {
	c := client{g.Conn, g.r}
	got, err := c.ask(word)
	if err == nil && !strings.HasSuffix(got, fmt.Sprintf("You said %q", word)) {
		err = fmt.Errorf("the echo says %q", got)
	}
	return err
}

func talkToCat(g *guest, word string) error {
	if _, err := fmt.Fprintln(g, word); err != nil {
		return err
	}
	got, err := g.r.ReadString('\n')
	if err == nil && got != word+"\n" {
		err = fmt.Errorf("cat says %q", got)
	}
	return err
}

func talkHTTP(g *guest, word string) error {
	if _, err := fmt.Fprintf(g, "GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", word); err != nil {
		return err
	}
	resp, err := http.ReadResponse(g.r, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != 200 || !strings.Contains(string(b), "/"+word)) {
		err = fmt.Errorf("status %d, %.200q", resp.StatusCode, b)
	}
	return err
}

// each calls f for each of n, some at a time, and returns what went wrong.
func each(n int, f func(i int) error) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	const atOnce = 16
	for w := range atOnce {
		all.Go(func() {
			for i := w; i < n; i += atOnce {
				if err := f(i); err != nil {
					mu.Lock()
					errs = append(errs, fmt.Errorf("client %d: %w", i, err))
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs[:min(len(errs), 10)]...)
}

// Two thousand clients of events, HTTP and waiting programs, by every kind of
// stream, stay through a reload and are served on; newcomers are served
// meanwhile, and at the end all are let out.
func TestTwoThousandClients(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	dir := openDir(t)
	pair := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	cert := filepath.Join(dir, "both.pem")
	pair.WriteBoth(t, cert, 0o600)
	plain, secret := filepath.Join(dir, "plain"), filepath.Join(dir, "secret")
	file := writeFile(t, filepath.Join(dir, "server.toml"), `
server_type = "Multiplex"
max_servers = 3000
timeout_idle = 600
SSL_cert_file = "`+cert+`"
[[listen]]
port = "127.0.0.1:0/ssl"
[[listen]]
port = "127.0.0.2:0"
[[listen]]
port = "127.0.0.3:0/ssl"
http = true
[[listen]]
port = "127.0.0.4:0"
program = ["cat"]
exec_spare = 4
[[listen]]
port = "`+plain+`|unix"
[[listen]]
port = "`+secret+`|unixssl"
`)
	r := start(t, "--conf_file", file, "--log_level", "2")
	at := func(n int) string {
		return strings.Replace(r.addr(n), "127.0.0.1:", fmt.Sprintf("127.0.0.%d:", n+1), 1)
	}
	tables := []table{
		{"tcp", at(0), true, 600, talkToEcho}, {"tcp", at(1), false, 600, talkToEcho},
		{"tcp", at(2), true, 300, talkHTTP}, {"tcp", at(3), false, 100, talkToCat},
		{"unix", plain, false, 200, talkToEcho}, {"unix", secret, true, 200, talkToEcho},
	}
	var of []*table
	for i := range tables {
		for range tables[i].guests {
			of = append(of, &tables[i])
		}
	}
	guests := make([]*guest, len(of))
	err := each(len(of), func(i int) (err error) {
		if guests[i], err = of[i].dial(); err == nil {
			err = guests[i].talk(guests[i], "first")
		}
		return err
	})
	t.Cleanup(func() {
		for _, g := range guests {
			if g != nil {
				g.Close()
			}
		}
	})
	if err != nil {
		t.Fatalf("before the reload: %v\n%s", err, r.text())
	}
	old := r.only()
	r.signal(syscall.SIGHUP)
	stop := make(chan struct{})
	newcomers := make(chan error, 1)
	go func() { newcomers <- comeUntil(stop, tables) }()
	netservertest.Eventually(t, "another generation", func() bool { return len(r.children()) == 2 })
	// HTTP's clients are between two requests, where a drain ends them.
	err = each(len(of), func(i int) error {
		if of[i] == &tables[2] {
			return nil
		}
		return guests[i].talk(guests[i], "second")
	})
	close(stop)
	if err = errors.Join(err, <-newcomers); err != nil {
		t.Errorf("after the reload: %v\n%s", err, r.text())
	}
	for _, g := range guests[:len(guests)/2] {
		g.Close()
	}
	if !alive(old) {
		t.Error("the first generation has ended before its clients")
	}
	r.signal(syscall.SIGQUIT)
	each(len(guests), func(i int) error { // whoever is still there says goodbye, or is let out
		guests[i].Close()
		return nil
	})
	if code := r.status(); code != 0 {
		t.Errorf("exit status %d:\n%s", code, r.text())
	}
}

// comeUntil has clients of each table come and go until stop is closed.
func comeUntil(stop chan struct{}, tables []table) error {
	for n := 0; ; n++ {
		select {
		case <-stop:
			if n == 0 {
				return errors.New("nobody has come")
			}
			return nil
		default:
		}
		g, err := tables[n%len(tables)].dial()
		if err == nil {
			err = g.talk(g, "new")
			g.Close()
		}
		if err != nil {
			return fmt.Errorf("a newcomer: %w", err)
		}
	}
}
