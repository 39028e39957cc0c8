package identity

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"netserver/internal/childproc"
)

// rooted skips a test unless this is root on Linux.
func rooted(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("needs root on Linux")
	}
}

func becomeNobody(p *childproc.Part) int {
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

func checkNobody(t *testing.T, c *childproc.Child) {
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

func checkNobody2(t *testing.T, c *childproc.Child) {
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
