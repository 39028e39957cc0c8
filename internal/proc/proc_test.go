package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test binary its own child.
func TestMain(m *testing.M) {
	part, err := TakePart()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	if part != nil {
		os.Exit(child(part))
	}
	os.Exit(m.Run())
}

func child(p *Part) int {
	switch p.Role {
	case "echo":
		for {
			msg, files, err := p.Link.Receive(1 << 20)
			if err == io.EOF {
				return 0
			}
			if err != nil || p.Link.Send(append([]byte("re: "), msg...), files...) != nil {
				return 4
			}
			closeFiles(files)
		}
	case "files":
		var b bytes.Buffer
		for _, f := range p.Files {
			io.Copy(&b, f)
		}
		p.Link.Send(b.Bytes())
	case "become":
		return becomeNobody(p)
	case "became":
		status, _ := os.ReadFile("/proc/self/status")
		wd, _ := os.Getwd()
		b, _ := io.ReadAll(p.Files[0])
		p.Link.Send(fmt.Appendf(nil, "%s\nFile: %s\nDir: %s\nWayBack: %v\n", status, b, wd, system().Check(65534, 65534)))
	case "refuse":
		return refusing(p)
	case "sleep":
		p.Link.Receive(1)
	}
	return 0
}

func becomeNobody(p *Part) int {
	runtime.LockOSThread()
	again, err := p.Hold("became")
	if err == nil {
		a, aerr := LookupAccount("65534", "65534")
		id := Identity{Account: &a, Chroot: os.Getenv("TEST_CHROOT"), NoNewPrivs: true, Limits: []Limit{{"core", 0}}}
		err = errors.Join(aerr, id.Become(nil))
	}
	if err == nil {
		err = again()
	}
	p.Link.Send([]byte(err.Error()))
	return 5
}

func start(t *testing.T, role string, files ...*os.File) *Child {
	t.Helper()
	b, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c, err := Start{Binary: b, Role: role, Args: os.Args[:1], Env: os.Environ(), Files: files, Stderr: os.Stderr, TakesFiles: true}.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Link.Close() })
	return c
}

func TestLinkCarriesMessagesAndFiles(t *testing.T) {
	c := start(t, "echo")
	name := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	big := strings.Repeat("x", 900_000) // more than a socket's buffer
	for _, want := range []string{"hello", "", big} {
		sent := make(chan error, 1)
		go func() { sent <- c.Link.Send([]byte(want), f, f) }()
		msg, files, err := c.Link.Receive(1 << 20)
		if string(msg) != "re: "+want || len(files) != 2 || err != nil {
			t.Fatalf("%d bytes, %d files, %v", len(msg), len(files), err)
		}
		for _, f := range files {
			f.Seek(0, io.SeekStart)
			if b, err := io.ReadAll(f); string(b) != "content" || err != nil {
				t.Errorf("file: %q, %v", b, err)
			}
		}
		closeFiles(files)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	c.Link.Close()
	if why := c.Wait(); why != "" {
		t.Errorf("child: %s", why)
	}
}

func TestLinkRefusesLongMessages(t *testing.T) {
	c := start(t, "echo")
	if err := c.Link.Send(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Link.Receive(50); !errors.Is(err, ErrTooLong) {
		t.Errorf("error: %v", err)
	}
	c.Kill()
	if why := c.Wait(); !strings.Contains(why, "killed") {
		t.Errorf("ended with %q", why)
	}
	if _, _, err := c.Link.Receive(1 << 20); err == nil {
		t.Error("a message after the end")
	}
}

func TestDeathIsEndOfFile(t *testing.T) {
	c := start(t, "sleep")
	c.Kill()
	if _, _, err := c.Link.Receive(10); err != io.EOF {
		t.Errorf("error: %v", err)
	}
	c.Wait()
	if err := c.Kill(); err != nil {
		t.Errorf("kill after the end: %v", err)
	}
}

func TestChildInheritsFilesAlone(t *testing.T) {
	var files []*os.File
	for i := range 6 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, i)
		w.Close()
		defer r.Close()
		files = append(files, r)
	}
	c := start(t, "files", files...)
	msg, _, err := c.Link.Receive(100)
	if string(msg) != "012345" || err != nil {
		t.Errorf("got %q, %v", msg, err)
	}
	c.Wait()
}

// rooted skips a test unless this is root on Linux.
func rooted(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("needs root on Linux")
	}
}

func TestBecomeNobodyForGood(t *testing.T) {
	rooted(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fmt.Fprint(w, "inherited")
	w.Close()
	c := start(t, "become", r)
	checkNobody(t, c)
}

func checkNobody(t *testing.T, c *Child) {
	t.Helper()
	msg, _, err := c.Link.Receive(1 << 16)
	if err != nil {
		t.Fatal(err, c.Wait())
	}
	for _, want := range []string{
		"Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534", "Groups:\t65534",
		"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
		"CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1",
		"File: inherited", "WayBack: <nil>",
	} {
		if !strings.Contains(string(msg), want) {
			t.Errorf("without %q:\n%s", want, msg)
		}
	}
	if why := c.Wait(); why != "" {
		t.Errorf("child: %s", why)
	}
}

// In a root directory that has not even the program.
func TestBecomeNobodyInChroot(t *testing.T) {
	rooted(t)
	if isDynamic(t) {
		t.Skip("this test binary needs shared libraries")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_CHROOT", dir)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fmt.Fprint(w, "inherited")
	w.Close()
	checkNobody2(t, start(t, "become", r))
}

func checkNobody2(t *testing.T, c *Child) {
	t.Helper()
	msg, _, err := c.Link.Receive(1 << 16)
	if err != nil {
		t.Fatal(err, c.Wait())
	}
	// There is no /proc to look at.
	if !strings.Contains(string(msg), "Dir: /\n") || !strings.Contains(string(msg), "WayBack: <nil>") {
		t.Errorf("%s", msg)
	}
	c.Wait()
}

func isDynamic(t *testing.T) bool {
	out, err := exec.Command("ldd", os.Args[0]).CombinedOutput()
	return err == nil && !strings.Contains(string(out), "not a dynamic")
}

func TestBecomeInOrder(t *testing.T) {
	for _, fails := range []string{"", "limit", "chroot", "bounds", "groups", "gid", "uid", "caps", "nnp", "check"} {
		var did []string
		step := func(name string) error {
			did = append(did, name)
			if name == fails {
				return errors.New("no")
			}
			return nil
		}
		sys := &System{
			Umask:      func(int) { step("umask") },
			Limit:      func(Limit) error { return step("limit") },
			Chroot:     func(string) error { return step("chroot") },
			DropBounds: func() error { return step("bounds") },
			Setgroups:  func([]int) error { return step("groups") },
			Setgid:     func(int) error { return step("gid") },
			Setuid:     func(int) error { return step("uid") },
			DropCaps:   func() error { return step("caps") },
			NoNewPrivs: func() error { return step("nnp") },
			Check:      func(int, int) error { return step("check") },
		}
		mask := os.FileMode(0o27)
		id := Identity{Account: &Account{User: "u", UID: 1, GID: 2, Groups: []int{2}}, Chroot: "/x", Umask: &mask, Limits: []Limit{{"core", 0}}, NoNewPrivs: true}
		err := id.Become(sys)
		want := "umask limit chroot bounds groups gid uid caps nnp check"
		if i := strings.Index(want, fails); fails != "" {
			want = want[:i+len(fails)]
		}
		if got := strings.Join(did, " "); got != want || (err == nil) != (fails == "") {
			t.Errorf("failing %q: did %s; error %v", fails, got, err)
		}
	}
}

func TestLookupAccount(t *testing.T) {
	for _, tc := range []struct{ user, groups, want string }{
		{"root", "", "root 0 0"},
		{"0", "", "root 0 0"},
		{"root", "0,12 13", "root 0 0 [0 12 13]"},
		{"54321", "7", "54321 54321 7 [7]"},
		{"54321", "", "error: user 54321 is a number that has no entry; name its group too"},
		{"no-such-one", "", "error: no such user as \"no-such-one\""},
		{"root", "no-such-one", "error: no such group as \"no-such-one\""},
		{"", "", "error: no such user: the name is empty"},
		{"-1", "", "error: no such user as \"-1\""},
		{"4294967296", "1", "error: no such user as \"4294967296\""},
	} {
		a, err := LookupAccount(tc.user, tc.groups)
		got := fmt.Sprintf("%s %d %d %v", a.User, a.UID, a.GID, a.Groups)
		if err != nil {
			got = "error: " + err.Error()
		}
		if !strings.HasPrefix(got, tc.want) {
			t.Errorf("%q, %q: %s; want %s", tc.user, tc.groups, got, tc.want)
		}
	}
}

func TestPIDFile(t *testing.T) {
	sleeper := start(t, "sleep")
	defer sleeper.Wait()
	defer sleeper.Kill()
	for _, tc := range []struct {
		name, content string
		absent        bool
		age           time.Duration
		want          string // of the error
	}{
		{name: "absent", absent: true},
		{name: "empty and old", age: 15 * time.Minute},
		{name: "empty and young", age: time.Minute, want: "is empty, and too young"},
		{name: "no number", content: "hello\n", want: "holds no process number"},
		{name: "our own", content: fmt.Sprintf("%d\n", os.Getpid())},
		{name: "runs", content: fmt.Sprintf("%d\n", sleeper.Pid()), want: "already running as process"},
		{name: "number used again", content: fmt.Sprintf("%d\n", sleeper.Pid()), age: time.Hour},
		{name: "does not run", content: "4194305\n"},
		{name: "longer number", content: "123456789012345\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.name == "number used again" && runtime.GOOS != "linux" {
				t.Skip("not known here")
			}
			path := filepath.Join(t.TempDir(), "pid")
			if !tc.absent {
				if err := os.WriteFile(path, []byte(tc.content), 0o644); err != nil {
					t.Fatal(err)
				}
				if tc.age > 0 {
					when := time.Now().Add(-tc.age)
					os.Chtimes(path, when, when)
				}
			}
			p, err := CreatePIDFile(path)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error: %v", err)
				}
				if b, _ := os.ReadFile(path); string(b) != tc.content {
					t.Errorf("changed to %q", b)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if b, _ := os.ReadFile(path); string(b) != fmt.Sprintf("%d\n", os.Getpid()) {
				t.Errorf("holds %q", b)
			}
			if _, err := CreatePIDFile(path); !errors.Is(err, ErrRunning) {
				t.Errorf("a second one: %v", err)
			}
			if err := p.Remove(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("not removed")
			}
		})
	}
}

func TestPIDFileRemovesItsOwnAlone(t *testing.T) {
	for _, replace := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "pid")
		p, err := CreatePIDFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if replace {
			os.Remove(path)
		}
		if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := p.Remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("replaced %v: another's file was removed", replace)
		}
	}
}

func TestPIDFileFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, "pid")); err != nil {
		t.Skip(err)
	}
	if _, err := CreatePIDFile(filepath.Join(dir, "pid")); err == nil {
		t.Error("wrote through a link")
	}
}

func TestTakePartRefuses(t *testing.T) {
	for _, v := range []string{"x", "x/", "x/-1", "x/99999999"} {
		t.Setenv(RoleVar, v)
		if p, err := TakePart(); err == nil {
			t.Errorf("%q: %+v", v, p)
		}
		if _, ok := os.LookupEnv(RoleVar); ok {
			t.Error("the variable is left for children")
		}
	}
}

func TestBinarySurvivesReplacement(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can")
	}
	name := filepath.Join(t.TempDir(), "program")
	write := func(content string) {
		t.Helper()
		os.Remove(name)
		if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	b, err := openBinary(name)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	write("two")
	n, err := openBinary(name)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if got, _ := os.ReadFile(b.path); string(got) != "one" {
		t.Errorf("executes %q", got)
	}
	if b.Same(n) || !n.Same(n) {
		t.Error("Same does not tell them apart")
	}
}
