//go:build unix

package main_test

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"netserver/netservertest"
)

// Servers whose clients start TLS by the dialog of their protocol.

// postgres trusts everybody.
func (k *kitchen) postgres(printed string, more ...string) {
	k.Helper()
	data := k.opens("postgres")
	program := func(name string, args ...string) *exec.Cmd {
		// Debian has them out of the way.
		all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
		if len(all) == 0 {
			all = []string{netservertest.Peer(k, name)}
		}
		cmd := exec.Command(slices.Max(all), args...)
		cmd.Env = environment()
		asNobody(k.T, cmd)
		cmd.Dir = data
		return cmd
	}
	init := program("initdb", "-D", filepath.Join(data, "db"), "-A", "trust", "-U", "postgres", "--no-sync", "--no-instructions")
	if out, err := init.CombinedOutput(); err != nil {
		k.Fatalf("initdb: %v\n%s", err, out)
	}
	args := []string{"-D", filepath.Join(data, "db"), "-p", k.port(printed),
		"-c", "listen_addresses=127.0.0.1", "-k", data, "-c", "fsync=off", "-c", "shared_buffers=16MB"}
	k.launchCmd("127.0.0.1:"+k.port(printed), program("postgres", append(args, more...)...))
}

// mariadb lets root in without a password.
func (k *kitchen) mariadb(printed string) {
	k.Helper()
	me, err := user.Current()
	if err != nil {
		k.Fatal(err)
	}
	data := k.path("mariadb")
	mkdir(k, data)
	init := exec.Command(netservertest.Peer(k, "mariadb-install-db"), "--no-defaults", "--datadir="+data, "--user="+me.Username,
		"--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-flush-method=nosync")
	init.Env = environment()
	if out, err := init.CombinedOutput(); err != nil {
		k.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	k.launch("127.0.0.1:"+k.port(printed), "mariadbd", "--no-defaults", "--datadir="+data, "--user="+me.Username,
		"--bind-address=127.0.0.1", "--port="+k.port(printed), "--socket="+k.path("mariadb.sock"), "--pid-file="+k.path("mariadb.pid"))
}

// slapd has one entry.
func (k *kitchen) slapd(printed string) {
	k.Helper()
	mkdir(k, k.path("ldap"))
	conf := k.file("slapd.conf", strings.ReplaceAll(`
include /etc/ldap/schema/core.schema
pidfile DIR/slapd.pid
database ldif
suffix "dc=example,dc=com"
directory DIR/ldap
access to * by * read
`, "DIR", k.dir))
	first := k.file("first.ldif", `dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
o: Example
dc: example
`)
	run(k, "slapadd", "-f", conf, "-l", first).all()
	k.launch("127.0.0.1:"+k.port(printed), "slapd", "-d", "0", "-f", conf, "-h", "ldap://127.0.0.1:"+k.port(printed)+"/")
}

// postfix takes mail for localhost and drops it. It needs root.
func (k *kitchen) postfix(printed string) {
	k.Helper()
	if os.Geteuid() != 0 {
		k.Skip("Postfix is started by root")
	}
	queue := k.path("queue")
	group, err := user.LookupGroup("postdrop")
	if err != nil {
		k.Fatal(err)
	}
	owns := func(dir, group string, mode os.FileMode) {
		k.Helper()
		mkdir(k, dir)
		if out, err := exec.Command("chown", "postfix:"+group, dir).CombinedOutput(); err != nil {
			k.Fatalf("%v: %s", err, out)
		}
		if err := os.Chmod(dir, mode); err != nil {
			k.Fatal(err)
		}
	}
	mkdir(k, queue)
	mkdir(k, filepath.Join(queue, "pid"))
	for _, name := range strings.Fields("active bounce corrupt defer deferred flush hold incoming private saved trace") {
		owns(filepath.Join(queue, name), "root", 0o700)
	}
	owns(filepath.Join(queue, "public"), group.Gid, 0o710)
	owns(filepath.Join(queue, "maildrop"), group.Gid, 0o730)
	owns(k.path("data"), "root", 0o700)
	k.file("postfix/main.cf", strings.ReplaceAll(`
compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
maillog_file_prefixes = DIR
maillog_file = DIR/postfix.log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.com
mydestination = localhost
local_transport = discard
default_transport = discard
local_recipient_maps =
alias_maps =
`, "DIR", k.dir))
	k.file("postfix/master.cf", strings.ReplaceAll(`
127.0.0.1:PORT inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`, "PORT", k.port(printed)))
	cmd := exec.Command("/usr/lib/postfix/sbin/master", "-c", k.path("postfix"), "-d")
	cmd.Env, cmd.Dir = environment(), k.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it ends its group
	k.launchCmd("127.0.0.1:"+k.port(printed), cmd)
}
