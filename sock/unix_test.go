//go:build unix

package sock

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"netserver/port"
)

func unixSpec(path string) port.Spec {
	return port.Spec{Host: "*", Port: path, Proto: "unix", IPv: "*"}
}

// eachUnix runs f for both kinds of UNIX socket, with a path that is free.
func eachUnix(t *testing.T, f func(t *testing.T, network, path string)) {
	for _, network := range []string{"unix", "unixgram"} {
		t.Run(network, func(t *testing.T) { f(t, network, filepath.Join(t.TempDir(), "s")) })
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestUnixEcho(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l := open(t, "unix", unixSpec(path), Options{})
	client := dial(t, "unix", path)
	server := accept(t, l)
	if _, ok := server.(*net.UnixConn); !ok {
		t.Errorf("accepted a %T: splice needs *net.UnixConn", server)
	}
	for _, a := range []net.Addr{server.LocalAddr(), client.RemoteAddr(), l.Addr()} {
		if a.String() != path {
			t.Errorf("address %s, want %s", a, path)
		}
	}
	must(t, l.Close())
	if exists(path) {
		t.Error("the file is still there after Close")
	}
}

func TestUnixStaleSocketIsReplaced(t *testing.T) {
	eachUnix(t, func(t *testing.T, network, path string) {
		leaveStale(t, network, path)
		l := open(t, network, unixSpec(path), Options{})
		client := dial(t, network, path)
		_, err := client.Write([]byte("x"))
		must(t, err)
		accept(t, l)
		left, err := os.ReadDir(filepath.Dir(path))
		must(t, err)
		if len(left) != 1 {
			t.Errorf("files left beside the socket: %v", left)
		}
	})
}

// leaveStale leaves the file of a socket that nobody has open.
func leaveStale(t *testing.T, network, path string) {
	t.Helper()
	l := open(t, network, unixSpec(path), Options{})
	l.(unlinker).SetUnlinkOnClose(false)
	must(t, l.Close())
	if !exists(path) {
		t.Fatal("SetUnlinkOnClose(false) did not keep the file")
	}
}

func TestUnixLiveSocketIsNotStolen(t *testing.T) {
	eachUnix(t, func(t *testing.T, network, path string) {
		l := open(t, network, unixSpec(path), Options{})
		before, err := os.Lstat(path)
		must(t, err)
		for _, thief := range []string{"unix", "unixgram"} {
			_, err := Listen(t.Context(), thief, unixSpec(path), Options{})
			wantError(t, err, "socket at file "+path+" [address already in use]: a running program has this socket open")
			if !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("does not unwrap to EADDRINUSE: %v", err)
			}
		}
		after, err := os.Lstat(path)
		must(t, err)
		if !os.SameFile(before, after) {
			t.Error("the file was replaced")
		}
		// The test for life was not a client.
		client := dial(t, network, path)
		_, err = client.Write([]byte("x"))
		must(t, err)
		buf := make([]byte, 2)
		if n, err := accept(t, l).Read(buf); n != 1 || err != nil {
			t.Errorf("the first client sent %d bytes, %v", n, err)
		}
	})
}

// A socket that is bound but does not listen yet belongs to a server that is
// starting.
func TestUnixBoundSocketIsNotStolen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := newUnixSocket(unix.SOCK_STREAM)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	_, err = Listen(t.Context(), "unix", unixSpec(path), Options{})
	wantError(t, err, "[address already in use]")
}

func TestUnixKeepsWhatIsNoSocket(t *testing.T) {
	eachUnix(t, func(t *testing.T, network, path string) {
		try := func(want string) {
			t.Helper()
			_, err := Listen(t.Context(), network, unixSpec(path), Options{})
			wantError(t, err, path, "["+want+" is in the way and is not removed]")
			if !exists(path) {
				t.Fatal("removed it")
			}
			must(t, os.Remove(path))
		}
		must(t, os.WriteFile(path, []byte("data"), 0o600))
		try("a regular file")
		must(t, os.Mkdir(path, 0o700))
		try("a directory")
		must(t, os.Symlink("elsewhere", path))
		try("a symbolic link")
		must(t, unix.Mkfifo(path, 0o600))
		try("a file that is not a socket")
	})
}

func TestUnixBadPaths(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/file", nil, 0o600))
	for _, tc := range []struct{ path, want string }{
		{"", "[the path is empty]"},
		{"/tmp/" + strings.Repeat("x", 200), "[the path has 205 bytes, the limit is " + strconv.Itoa(maxUnixPath) + "]"},
		{"@abstract", "abstract socket"},
		{"/tmp/a\x00b", "zero byte"},
		{dir + "/none/s", "[no such file or directory]: the directory " + dir + "/none does not exist: create it first"},
		{dir + "/file/s", "[not a directory]: " + dir + "/file is not a directory"},
	} {
		_, err := Listen(t.Context(), "unix", unixSpec(tc.path), Options{})
		wantError(t, err, "Cannot bind and listen to UNIX socket at file ", tc.want)
	}
}

func TestUnixLongestPath(t *testing.T) {
	dir, err := os.MkdirTemp("", "s")
	must(t, err)
	defer os.RemoveAll(dir)
	path := dir + "/" + strings.Repeat("x", maxUnixPath-len(dir)-1)
	leaveStale(t, "unix", path)
	open(t, "unix", unixSpec(path), Options{})
	dial(t, "unix", path)
	_, err = Listen(t.Context(), "unix", unixSpec(path+"x"), Options{})
	wantError(t, err, strconv.Itoa(maxUnixPath+1)+" bytes")
}

func TestUnixMode(t *testing.T) {
	eachUnix(t, func(t *testing.T, network, path string) {
		open(t, network, unixSpec(path), Options{UnixMode: 0o621})
		info, err := os.Lstat(path)
		must(t, err)
		if info.Mode().Perm() != 0o621 {
			t.Errorf("mode %v", info.Mode())
		}
	})
}

// Without the umask's help, the file is never wider than it should be.
func TestUnixModeFromTheStart(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "s")
	var wide atomic.Uint32
	stop, done := make(chan struct{}), make(chan struct{})
	go watchMode(path, &wide, stop, done)
	for range 300 {
		network := "unixgram"
		if runtime.GOOS != "linux" { // see closeMode
			network = "unix"
		}
		l, err := Listen(t.Context(), network, unixSpec(path), Options{UnixMode: 0o600})
		must(t, err)
		must(t, l.Close())
	}
	close(stop)
	<-done
	if runtime.GOOS == "linux" && wide.Load() != 0 {
		t.Errorf("the file had mode %o for a while", wide.Load())
	}
}

func watchMode(path string, wide *atomic.Uint32, stop, done chan struct{}) {
	defer close(done)
	for {
		select {
		case <-stop:
			return
		default:
		}
		if info, err := os.Lstat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			wide.Store(uint32(info.Mode().Perm()))
		}
	}
}

func TestUnixOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	nobody, err := user.Lookup("nobody")
	must(t, err)
	eachUnix(t, func(t *testing.T, network, path string) {
		for _, o := range []Options{
			{UnixOwner: "nobody", UnixGroup: "12345", UnixMode: 0o660},
			{UnixOwner: nobody.Uid, UnixGroup: "12345", UnixMode: 0o660},
		} {
			l := open(t, network, unixSpec(path), o)
			var st unix.Stat_t
			must(t, unix.Lstat(path, &st))
			if strconv.Itoa(int(st.Uid)) != nobody.Uid || st.Gid != 12345 || st.Mode&0o777 != 0o660 {
				t.Errorf("%+v: uid %d gid %d mode %o", o, st.Uid, st.Gid, st.Mode)
			}
			must(t, l.Close())
			if exists(path) {
				t.Error("the file is still there after Close")
			}
		}
	})
}

func TestUnixUnknownOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	_, err := Listen(t.Context(), "unix", unixSpec(path), Options{UnixOwner: "no-such-user"})
	wantError(t, err, `unix_owner: there is no user "no-such-user"`)
	_, err = Listen(t.Context(), "unix", unixSpec(path), Options{UnixGroup: "no-such-group"})
	wantError(t, err, `unix_group: there is no group "no-such-group"`)
	if exists(path) {
		t.Error("left a file")
	}
}

func TestSetAccessSparesAnotherFile(t *testing.T) {
	dir := t.TempDir()
	mine, other := dir+"/mine", dir+"/other"
	open(t, "unix", unixSpec(mine), Options{})
	must(t, os.WriteFile(other, nil, 0o600))
	info, err := os.Lstat(mine)
	must(t, err)
	replace := map[string]func() error{
		"file":    func() error { return os.WriteFile(mine, nil, 0o600) },
		"symlink": func() error { return os.Symlink(other, mine) },
		"link":    func() error { return os.Link(other, mine) },
	}
	for name, f := range replace {
		must(t, os.Remove(mine))
		must(t, f())
		if err := setAccess(mine, info, -1, -1, 0o666); err == nil {
			t.Errorf("%s: was given the mode", name)
		}
		if st, err := os.Stat(other); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", name, st.Mode(), err)
		}
	}
}

// A second name means that the socket may be another one, linked here.
func TestSetAccessSparesLinkedSocket(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can look at the file itself")
	}
	dir := t.TempDir()
	open(t, "unix", unixSpec(dir+"/docker.sock"), Options{UnixMode: 0o600})
	must(t, os.Link(dir+"/docker.sock", dir+"/s"))
	info, err := os.Lstat(dir + "/s")
	must(t, err)
	wantError(t, setAccess(dir+"/s", info, -1, -1, 0o666), "another file took the place of")
	info, err = os.Lstat(dir + "/docker.sock")
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestUnixCloseKeepsAnothersFile(t *testing.T) {
	eachUnix(t, func(t *testing.T, network, path string) {
		first := open(t, network, unixSpec(path), Options{})
		must(t, os.Remove(path))
		open(t, network, unixSpec(path), Options{})
		must(t, first.Close())
		if !exists(path) {
			t.Error("removed the file of another socket")
		}
	})
}

func TestRemoveSameGivesBack(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/a", []byte("a"), 0o600))
	must(t, os.WriteFile(dir+"/b", []byte("b"), 0o600))
	b, err := os.Lstat(dir + "/b")
	must(t, err)
	must(t, removeSame(dir+"/a", b))
	must(t, removeSame(dir+"/none", b))
	if !exists(dir+"/a") || !exists(dir+"/b") {
		t.Error("removed another file")
	}
	must(t, removeSame(dir+"/b", b))
	if exists(dir + "/b") {
		t.Error("not removed")
	}
}

func TestUnixRelativePathAfterChdir(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	l := open(t, "unix", unixSpec("s"), Options{})
	t.Chdir("/")
	must(t, l.Close())
	if exists(dir + "/s") {
		t.Error("the file is still there")
	}
}

func TestListenAllRemovesSocketFiles(t *testing.T) {
	dir := t.TempDir()
	_, err := ListenAll(t.Context(), []Request{
		{Network: "unix", Spec: unixSpec(dir + "/a")},
		{Network: "unixgram", Spec: unixSpec(dir + "/b")},
		{Network: "unix", Spec: unixSpec(dir + "/none/c")},
	})
	wantError(t, err, dir+"/none/c")
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestUnixNoPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root has every permission")
	}
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o500))
	_, err := Listen(t.Context(), "unix", unixSpec(dir+"/s"), Options{})
	wantError(t, err, "permission denied", "may not create or change the file in "+dir)
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
}
