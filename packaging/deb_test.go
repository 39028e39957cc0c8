//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// A machine is this machine's files with others over them, and processes of its
// own: what is installed and started there is gone when the test ends.
type machine struct {
	root string // of its files, as its own processes name it
	pid  int    // its first process
}

// overlay makes the machine's files from this one's; the first argument is an
// empty directory. dpkg's list of packages is its own, with passwd in it.
const overlay = `set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$1"
cd "$1"
mkdir upper work root
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay root
mount --rbind /dev root/dev
mount -t tmpfs -o mode=1777 tmpfs root/dev/shm
mount -t proc proc root/proc
mount -t tmpfs -o mode=755 tmpfs root/run
mkdir -p root/run/systemd/system root/run/dpkg/info root/run/dpkg/updates root/run/dpkg/triggers
printf 'Package: passwd\nStatus: install ok installed\nArchitecture: all\nMaintainer: x\nVersion: 1\nDescription: x\n' >root/run/dpkg/status
touch root/run/dpkg/info/passwd.list
rm -rf root/etc/netserver root/var/log/netserver root/var/lib/netserver
cat >root/usr/bin/systemctl.new
chmod 755 root/usr/bin/systemctl.new
mv root/usr/bin/systemctl.new root/usr/bin/systemctl
printf '#!/bin/sh\nexit 0\n' >root/usr/sbin/policy-rc.d
chmod 755 root/usr/sbin/policy-rc.d
echo ready
exec sleep 600
`

// systemctl does what the package's scripts and an administrator ask of
// systemd, for one unit, as the installed unit says.
const systemctl = `#!/bin/sh
echo "systemctl $*" >>/run/systemctl.log
while [ "${1#-}" != "$1" ]; do shift; done
unit=/usr/lib/systemd/system/netserver.service
of() { sed -n "s/^$1=//p" "$unit"; }
MAINPID=$(cat /run/netserver.mainpid 2>/dev/null)
case $1 in
daemon-reload) ;;
list-units) [ -z "$MAINPID" ] || echo "netserver.service loaded active running netserver" ;;
start)
	mkdir -p "/run/$(of RuntimeDirectory)" "/var/log/$(of LogsDirectory)" "/var/lib/$(of StateDirectory)"
	$(of ExecStart) >/run/netserver.out 2>&1 </dev/null &
	echo $! >/run/netserver.mainpid
	;;
reload) eval "$(of ExecReload)" ;;
stop)
	kill "-${SIG:-$(of KillSignal | sed s/^SIG//)}" "$MAINPID"
	while [ -e "/proc/$MAINPID/exe" ]; do sleep 0.05; done
	rm /run/netserver.mainpid
	;;
*) exit 1 ;;
esac
`

// newMachine starts one, or skips the test where that is not allowed.
func newMachine(t *testing.T) *machine {
	t.Helper()
	rooted(t)
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", overlay, "sh", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	cmd.Stdin = strings.NewReader(systemctl)
	problem := new(output)
	cmd.Stderr = problem
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Skipf("no namespaces here: %v", err)
	}
	t.Cleanup(func() { // which ends all of its processes
		cmd.Process.Kill()
		cmd.Wait()
	})
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Skipf("no file system of its own here: %s", problem)
	}
	return &machine{root: filepath.Join(dir, "root"), pid: cmd.Process.Pid}
}

// try runs a command of the machine.
func (m *machine) try(args ...string) (string, error) {
	cmd := exec.Command("nsenter", append([]string{"--target", strconv.Itoa(m.pid), "--mount", "--pid", "chroot", m.root}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run is try for what has to succeed.
func (m *machine) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := m.try(args...)
	if err != nil {
		log, _ := m.try("sh", "-c", "cat /run/systemctl.log /run/netserver.out")
		t.Fatalf("%q: %v\n%s\n%s", args, err, out, log)
	}
	return out
}

// dpkg runs it with the machine's own list of packages.
func (m *machine) dpkg(t *testing.T, args ...string) {
	t.Helper()
	m.run(t, append([]string{"dpkg", "--admindir=/run/dpkg", "--force-unsafe-io", "--force-confold"}, args...)...)
}

// copyIn puts a file of this machine there.
func (m *machine) copyIn(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(filepath.Join(fmt.Sprintf("/proc/%d/root", m.pid), m.root, to), b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// version asks the server for its version.
func (m *machine) version() string {
	out, err := m.try("netserver", "ctl", "--conf_file", "/etc/netserver/server.conf", "--json", "status")
	var s struct{ Version string }
	if err != nil || json.Unmarshal([]byte(out), &s) != nil {
		return out
	}
	return s.Version
}

// servesNew reports whether a process runs the program's file as it is now: of
// one that was replaced, the kernel says that it is deleted.
func (m *machine) servesNew() bool {
	out, _ := m.try("sh", "-c", "readlink /proc/[0-9]*/exe")
	return strings.Contains("\n"+out, "\n/usr/bin/netserver\n")
}

// A friend is a client that stays.
type friend struct {
	net.Conn
	lines *bufio.Reader
}

func meet(t *testing.T, addr string) *friend {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &friend{c, bufio.NewReader(c)}
}

func (f *friend) echo(t *testing.T, line string) {
	t.Helper()
	f.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := f.Write([]byte(line + "\n")); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if got, err := f.lines.ReadString('\n'); err != nil || got != line+"\n" {
		t.Fatalf("%s: %q, %v", line, got, err)
	}
}

// nextDeb is the package of version 1.2.4: the same, but for the versions that
// dpkg and the program tell.
func nextDeb(t *testing.T) string {
	t.Helper()
	out := t.TempDir()
	if err := releaseFor("..", out, "1.2.4"); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(out, "*.deb"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%q, %v", found, err)
	}
	return found[0]
}

// The package's life: installed, nothing runs; started, as it was installed and
// with a conf file of the administrator's; upgraded, and a client stays; purged,
// and only what belongs to the administrator is left.
func TestDebFromInstallToPurge(t *testing.T) {
	m, addr := newMachine(t), "127.0.0.1:"+netservertest.FreePort(t)
	m.copyIn(t, one(t, "*.deb"), "/run/first.deb")
	m.copyIn(t, nextDeb(t), "/run/next.deb")

	m.dpkg(t, "--install", "/run/first.deb")
	if log := m.run(t, "cat", "/run/systemctl.log"); strings.Contains(log, "start") || strings.Contains(log, "enable") || !strings.Contains(log, "daemon-reload") {
		t.Errorf("after the installation:\n%s", log)
	}
	if who := m.run(t, "getent", "passwd", "netserver"); !regexp.MustCompile(`^netserver:[!x]*:\d+:\d+:netserver:/nonexistent:/usr/sbin/nologin\n$`).MatchString(who) {
		t.Errorf("the account: %s", who)
	}
	check := m.run(t, "netserver", "--check", "--conf_file", "/etc/netserver/server.conf")
	var found struct {
		Listeners []struct{ Host, Port any }
	}
	if err := json.Unmarshal([]byte(check), &found); err != nil || len(found.Listeners) != 1 || found.Listeners[0].Host != "127.0.0.1" {
		t.Errorf("as installed it serves %+v, %v\n%s", found, err, check)
	}

	m.run(t, "sed", "-i", "s,^port = .*,port = "+addr+"/tcp\\necho = raw,; s,^#log_file,log_file,", "/etc/netserver/server.conf")
	m.run(t, "sh", "-c", "mkdir -p /etc/netserver/keys /var/lib/netserver/www && echo mine | tee /etc/netserver/keys/mine /var/lib/netserver/www/mine")
	m.run(t, "systemctl", "start", "netserver.service")
	netservertest.Eventually(t, "a start", func() bool { return speak(addr) == nil })
	old := meet(t, addr)
	old.echo(t, "before the upgrade")
	if version := m.version(); version != "1.2.3" {
		t.Errorf("version %q runs", version)
	}

	m.dpkg(t, "--install", "/run/next.deb")
	netservertest.Eventually(t, "a process of the new program", m.servesNew)
	netservertest.Eventually(t, "the end of the restart", func() bool {
		return strings.Contains(m.run(t, "cat", "/var/log/netserver/netserver.log"), "restart: the program's file was replaced")
	})
	old.echo(t, "after the upgrade")
	meet(t, addr).echo(t, "a new one")
	if conf := m.run(t, "cat", "/etc/netserver/server.conf"); !strings.Contains(conf, addr) {
		t.Errorf("the conf file is another one:\n%s", conf)
	}
	log := m.run(t, "cat", "/run/systemctl.log")
	if strings.Contains(log, "stop") || strings.Count(log, "reload netserver.service") != 1 {
		t.Errorf("after the upgrade:\n%s", log)
	}

	old.Close()
	m.dpkg(t, "--remove", "netserver")
	if err := speak(addr); err == nil {
		t.Error("it serves after its removal")
	}
	m.run(t, "test", "-e", "/etc/netserver/server.conf") // it comes back with the package
	m.dpkg(t, "--purge", "netserver")
	left := m.run(t, "sh", "-c", "find /etc/netserver /var/lib/netserver /var/log/netserver /run/netserver /usr/share/doc/netserver /etc/logrotate.d/netserver /usr/bin/netserver ! -type d 2>/dev/null || true")
	if want := "/etc/netserver/keys/mine\n/var/lib/netserver/www/mine\n"; left != want {
		t.Errorf("a purge leaves %q, want %q", left, want)
	}
	m.run(t, "sh", "-c", "test ! -e /var/log/netserver && test ! -e /run/netserver")
	m.run(t, "getent", "passwd", "netserver")
}
