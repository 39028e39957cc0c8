//go:build unix

package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver/access"
	"netserver/netservertest"
)

func TestMain(m *testing.M) { os.Exit(netservertest.Main(m)) }

func TestParseRequest(t *testing.T) {
	for text, want := range map[string]string{
		`{"verb":"status"}`:                                  "",
		"{\"verb\":\"status\"}\n":                            "",
		`{"verb":"kill","id":"3.17"}`:                        "",
		`{"verb":"conns","after":"3.0","limit":5}`:           "",
		`{"verb":"lift","network":"2001:db8::/32"}`:          "",
		`{"verb":"limits","limit":1000}`:                     "",
		`{"verb":"drain","wait":true}`:                       "",
		`{"verb":"reload","dry_run":true}`:                   "",
		``:                                                   "cannot be read",
		`null`:                                               "not an object",
		`{}`:                                                 `unknown verb ""`,
		`{"verb":"status","verb":"stop"}`:                    "verb is given twice",
		`{"verb":"stop","wait":false,"wait":true}`:           "wait is given twice",
		`{"verb":"status","Verb":"stop"}`:                    "unknown field",
		`{"verb":"status","\u0076erb":"stop"}`:               "verb is given twice",
		`{"VERB":"stop"}`:                                    "unknown field",
		`{"verb":["status"]}`:                                "cannot be read",
		`{"verb":"status"`:                                   "cannot be read",
		`[]`:                                                 "cannot be read",
		`{"verb":"status"} {"verb":"stop"}`:                  "data after the object",
		`{"verb":"status"}x`:                                 "data after the object",
		`{"verb":"reload","dry-run":true}`:                   "unknown field",
		`{"verb":"STOP"}`:                                    "unknown verb",
		`{"verb":"status","wait":true}`:                      "status has no wait",
		`{"verb":"kill"}`:                                    "is not a client",
		`{"verb":"kill","id":"17"}`:                          "is not a client",
		`{"verb":"kill","id":"-1.17"}`:                       "is not a client",
		`{"verb":"kill","id":"1.18446744073709551616"}`:      "is not a client",
		`{"verb":"lift","network":"all"}`:                    "not an address or network",
		`{"verb":"lift","network":"fe80::1%eth0"}`:           "not an address or network",
		`{"verb":"conns","limit":100001}`:                    "not between",
		`{"verb":"conns","limit":-1}`:                        "not between",
		`{"verb":"limits","limit":1001}`:                     "not between",
		`{"verb":"status"` + strings.Repeat(" ", 5000) + `}`: "longer than",
		`{"verb":"kill","id":"` + strings.Repeat("9", 300) + `.1"}`: "...",
	} {
		_, err := ParseRequest([]byte(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, s := range []string{`{"verb":"status"}`, `{"verb":"kill","id":"1.2"}`, `{"verb":"conns","after":"1.2","limit":3}`, `{"verb":"lift","network":"10.0.0.0/8"}`, `{"verb":"stop","wait":true}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRequest(b)
		if err != nil {
			if len(err.Error()) > 2*MaxRequest+200 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseRequest(again); err != nil || !reflect.DeepEqual(back, r) {
			t.Errorf("%s became %+v, %v", again, back, err)
		}
		if id, err := ParseID(r.ID); r.Verb == VerbKill && (err != nil || id.Worker < 0) {
			t.Errorf("kill without a client: %+v", r)
		}
		if r.Verb == VerbLift {
			if p, err := ParseNetwork(r.Network); err != nil || !p.IsValid() || p != p.Masked() {
				t.Errorf("lift of %v, %v", p, err)
			}
		}
	})
}

// What comes from clients and workers cannot command a terminal.
func FuzzClean(f *testing.F) {
	f.Add("plain \"text\"")
	f.Add("\x1b[2J\x9b31m\u202e\u2028\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range Clean(s) {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e || r == 0x2028 {
				t.Fatalf("%q has %q", s, r)
			}
		}
	})
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{"a b": "a b", `say "x"`: `say "x"`, "\x1b[2Jx": `\x1b[2Jx`, "ünï": "ünï", "a\nb": `a\nb`} {
		if got := Clean(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// serve starts a Server on a socket.
func serve(t *testing.T, s *Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := Socket{Path: path, UID: -1, GID: -1}.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Allow == nil {
		s.Allow = func(*access.Cred) error { return nil }
	}
	s.Fail = func(err error) { t.Error(err) }
	s.Serve(l)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); err == nil {
			t.Error("the socket's file was left behind")
		}
	})
	return path
}

func ask(path string, r *Request) (parts []string, err error) {
	err = Do(context.Background(), path, r, func(part string, data json.RawMessage) error {
		parts = append(parts, part+" "+string(data))
		return nil
	})
	return parts, err
}

func TestAskAndAnswer(t *testing.T) {
	path := serve(t, &Server{Handle: func(_ context.Context, by *access.Cred, r *Request, a *Answer) error {
		if int(by.UID) != os.Geteuid() {
			t.Errorf("by %+v", by)
		}
		if r.Verb == VerbStop {
			return errors.Join(errors.New("one"), errors.Join(errors.New("two"), errors.New("three")))
		}
		return errors.Join(a.Send("a", 1), a.Send("b", "x"))
	}})
	parts, err := ask(path, &Request{Verb: VerbStatus})
	if err != nil || strings.Join(parts, "; ") != `a 1; b "x"` {
		t.Errorf("%q, %v", parts, err)
	}
	var f *Failed
	if _, err := ask(path, &Request{Verb: VerbStop}); !errors.As(err, &f) || len(f.Texts) != 3 {
		t.Errorf("%v", err)
	}
	if _, err := ask(path, &Request{Verb: "dance"}); err == nil || !strings.Contains(err.Error(), "unknown verb") {
		t.Errorf("%v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := ask(path+"x", &Request{Verb: VerbStatus}); err == nil || !strings.Contains(err.Error(), "no server") {
		t.Errorf("%v", err)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	path := serve(t, &Server{
		Allow:  func(*access.Cred) error { return errors.New("not you") },
		Handle: func(context.Context, *access.Cred, *Request, *Answer) error { t.Error("served"); return nil },
	})
	if _, err := ask(path, &Request{Verb: VerbStop}); err == nil || err.Error() != "not you" {
		t.Errorf("%v", err)
	}
}

// Clients that say nothing keep nobody out, however many there are.
func TestSilentClientsDelayNobody(t *testing.T) {
	path := serve(t, &Server{Handle: func(_ context.Context, _ *access.Cred, _ *Request, a *Answer) error { return a.Send("x", 1) }})
	var silent []net.Conn
	defer func() {
		for _, c := range silent {
			c.Close()
		}
	}()
	begin := time.Now()
	for i := range 3 * maxSilent {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
		if i%2 == 0 {
			io.WriteString(c, `{"verb":`) // and no more
		}
	}
	if _, err := ask(path, &Request{Verb: VerbStatus}); err != nil {
		t.Fatal(err)
	}
	// They have requestTime; nobody waited for that.
	if d := time.Since(begin); d >= requestTime {
		t.Skipf("this machine took %v to connect", d)
	}
	// Which of them stay depends on whose goroutine comes first, and one made
	// room for the request.
	told := 0
	for _, c := range silent {
		c.SetReadDeadline(time.Now().Add(2 * requestTime))
		if b, _ := io.ReadAll(c); bytes.Contains(b, []byte("errors")) {
			told++
		}
	}
	if told != maxSilent && told != maxSilent-1 {
		t.Errorf("%d silent clients were told that they are late, of %d that can be", told, maxSilent)
	}
}

func TestTooLongARequest(t *testing.T) {
	path := serve(t, &Server{Handle: func(context.Context, *access.Cred, *Request, *Answer) error { t.Error("served"); return nil }})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go io.WriteString(c, strings.Repeat(" ", 1<<20))
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	var f frame
	if err := json.NewDecoder(c).Decode(&f); err != nil || len(f.Errors) != 1 || !strings.Contains(f.Errors[0], "longer than") {
		t.Errorf("%+v, %v", f, err)
	}
}

// Close ends what is being carried out, and those who wait for the end are
// told of it first.
func TestCloseEndsRequests(t *testing.T) {
	began := make(chan struct{})
	s := &Server{Allow: func(*access.Cred) error { return nil }, Handle: func(ctx context.Context, _ *access.Cred, _ *Request, _ *Answer) error {
		close(began)
		<-ctx.Done()
		return context.Cause(ctx)
	}}
	path := filepath.Join(t.TempDir(), "s")
	l, err := Socket{Path: path, UID: -1, GID: -1}.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(l)
	got := make(chan error, 1)
	go func() {
		_, err := ask(path, &Request{Verb: VerbDrain, Wait: true})
		got <- err
	}()
	<-began
	s.Close()
	if err := <-got; err == nil {
		t.Error("it was answered")
	}
}

func TestManyWatchersLeaveRoom(t *testing.T) {
	release := make(chan struct{})
	var in sync.WaitGroup
	in.Add(maxWatch)
	path := serve(t, &Server{Handle: func(_ context.Context, _ *access.Cred, r *Request, a *Answer) error {
		if r.Wait {
			in.Done()
			<-release
		}
		return nil
	}})
	var wg sync.WaitGroup
	for range maxWatch {
		wg.Go(func() {
			if _, err := ask(path, &Request{Verb: VerbDrain, Wait: true}); err != nil {
				t.Error(err)
			}
		})
	}
	in.Wait()
	if _, err := ask(path, &Request{Verb: VerbDrain, Wait: true}); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("%v", err)
	}
	if _, err := ask(path, &Request{Verb: VerbStatus}); err != nil {
		t.Error(err)
	}
	close(release)
	wg.Wait()
}

func TestDirectory(t *testing.T) {
	top := t.TempDir()
	for _, c := range []struct {
		mode os.FileMode
		want string
	}{
		{0o755, ""}, {0o700, ""}, {0o777 | os.ModeSticky, ""}, {0o777, "others may write"}, {0o775, "others may write"},
	} {
		dir := filepath.Join(top, fmt.Sprintf("d%o", uint32(c.mode)))
		below := filepath.Join(dir, "below")
		if err := errors.Join(os.MkdirAll(below, 0o700), os.Chmod(dir, c.mode)); err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{dir, below} {
			err := checkDir(d)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, mode %v: %v", d, c.mode, err)
			}
		}
		link := dir + ".link"
		if err := os.Symlink(below, link); err != nil {
			t.Fatal(err)
		}
		if err := checkDir(link); (err == nil) != (c.want == "") {
			t.Errorf("a link into mode %v: %v", c.mode, err)
		}
	}
	if err := checkDir(filepath.Join(top, "none")); err == nil {
		t.Error("a directory that is not there was accepted")
	}
	if os.Geteuid() == 0 {
		theirs := filepath.Join(top, "theirs")
		if err := errors.Join(os.Mkdir(theirs, 0o755), os.Chown(theirs, 65534, 0)); err != nil {
			t.Fatal(err)
		}
		if err := checkDir(theirs); err == nil || !strings.Contains(err.Error(), "belongs to user nobody (65534)") {
			t.Errorf("another's directory: %v", err)
		}
	}
}

// A file that a killed server left is taken over; one that is in use is not.
func TestLeftOverSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	s := Socket{Path: path, UID: -1, GID: -1}
	if _, err := s.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "control_socket") {
		t.Fatalf("in use: %v", err)
	}
	l.Close()
	again, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Listen(t.Context()); err == nil {
		t.Error("a regular file was taken over")
	}
}

// Who comes last is not closed for those before, though their goroutines come
// later.
func TestSilentInTheOrderOfAccept(t *testing.T) {
	s := new(Server)
	var ends []net.Conn
	pipe := func(n uint64) silent {
		near, far := net.Pipe()
		t.Cleanup(func() { near.Close(); far.Close() })
		ends = append(ends, far)
		return silent{near, n}
	}
	last := pipe(1000)
	s.listen(last)
	for n := range uint64(2 * maxSilent) {
		s.listen(pipe(n))
	}
	ends[0].SetReadDeadline(time.Now())
	if _, err := ends[0].Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the last client: %v", err)
	}
	if _, err := ends[1].Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the first client: %v", err)
	}
	if s.heard(last); len(s.silent) != maxSilent-1 {
		t.Errorf("%d are silent", len(s.silent))
	}
}
