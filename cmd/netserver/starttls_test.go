//go:build unix

package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// newKitchen makes a directory with certificates for servers behind, and a
// netserver with the key starttls before them.
func newKitchen(t *testing.T) *kitchen {
	k := &kitchen{T: t, dir: shortDir(t), ports: make(map[string]string)}
	k.certificate("front.pem", netservertest.Leaf{})
	return k
}

// front starts netserver on a port of its own, before target.
func (k *kitchen) front(target string, args ...string) (port string) {
	k.Helper()
	port = netservertest.FreePort(k)
	at := "127.0.0.1:" + port
	if slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--starttls=") }) {
		at += "/ssl"
		args = append(args, "--SSL_cert_file="+k.path("front.pem"))
	}
	s := start(k, append([]string{"--port=" + at, "--proxy_to=" + target, "--user=" + me(k)}, args...)...)
	s.awaitLog(`identity of the serving processes`)
	return port
}

// secured are the arguments that have netserver start TLS with its target.
func (k *kitchen) secured(protocol string) []string {
	return []string{"--backend_tls", "--backend_starttls=" + protocol, "--backend_ca_file=" + k.path("ca.pem"), "--backend_servername=localhost"}
}

func me(t testing.TB) string {
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

// run runs a client and returns what it prints.
func (k *kitchen) run(name string, args ...string) (string, error) {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, netservertest.Peer(k, name), args...)
	cmd.Env, cmd.Dir = append(environment(), "HOME="+k.dir, "LDAPTLS_CACERT="+k.path("ca.pem"), "LDAPTLS_REQCERT=hard"), k.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// as makes cmd another user's, if this one is root and it exists.
func (k *kitchen) as(name string, cmd *exec.Cmd) {
	k.Helper()
	if os.Getuid() != 0 {
		return
	}
	u, err := user.Lookup(name)
	if err != nil {
		k.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// prepare runs a program that makes what a server needs.
func (k *kitchen) prepare(cmd *exec.Cmd) {
	k.Helper()
	cmd.Env, cmd.Dir = environment(), k.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		k.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// keyFor copies a certificate and its key for a server of another user, who has
// to own the key.
func (k *kitchen) keyFor(name string) (file string) {
	k.Helper()
	text, err := os.ReadFile(k.path("front.pem"))
	if err != nil {
		k.Fatal(err)
	}
	file = k.path(name + ".pem")
	write(k, file, string(text))
	os.Chmod(file, 0o600)
	if u, err := user.Lookup(name); err == nil && os.Getuid() == 0 {
		uid, _ := strconv.Atoi(u.Uid)
		os.Chown(file, uid, -1)
	}
	return file
}

// mariadb starts a server whose user is u, with the password p. It has TLS.
func (k *kitchen) mariadbTLS() (port string) {
	k.Helper()
	data := k.opens("mysql")
	install := exec.Command(netservertest.Peer(k, "mariadb-install-db"), "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db", "--user="+mysqlUser())
	k.prepare(install)
	port = netservertest.FreePort(k)
	pem := k.keyFor(mysqlUser())
	k.launch(k.path("mysql/mysql.sock"), "mariadbd", "--no-defaults", "--datadir="+data, "--port="+port, "--bind-address=127.0.0.1", "--socket="+k.path("mysql/mysql.sock"),
		"--user="+mysqlUser(), "--ssl-cert="+pem, "--ssl-key="+pem, "--innodb-buffer-pool-size=8M")
	out, err := k.run("mariadb", "--no-defaults", "--socket="+k.path("mysql/mysql.sock"), "-uroot", "-e",
		"CREATE USER u@'%' IDENTIFIED BY 'p'; CREATE USER u@localhost IDENTIFIED BY 'p'; CREATE USER s@localhost IDENTIFIED BY 'p' REQUIRE SSL")
	if err != nil {
		k.Fatalf("%v\n%s", err, out)
	}
	return port
}

func mysqlUser() string {
	if os.Getuid() == 0 {
		return "mysql"
	}
	u, _ := user.Current()
	return u.Username
}

func (k *kitchen) ask4(port string, more ...string) (string, error) {
	return k.run("mariadb", append([]string{"--no-defaults", "--protocol=tcp", "-h127.0.0.1", "-P" + port, "-uu", "-pp", "-N", "-e", "SELECT 6*7; SELECT REPEAT('x', 100000); SELECT 'end'"}, more...)...)
}

func TestStartTLSMariaDB(t *testing.T) {
	k := newKitchen(t)
	behind := k.mariadbTLS()
	check := func(what, port string, more ...string) {
		t.Helper()
		out, err := k.ask4(port, more...)
		if lines := strings.Fields(out); err != nil || len(lines) != 3 || lines[0] != "42" || lines[2] != "end" {
			t.Errorf("%s: %v\n%.300s", what, err, out)
		}
	}
	verified := []string{"--ssl", "--ssl-ca=" + k.path("ca.pem"), "--ssl-verify-server-cert"}
	check("without us", behind)
	port := k.front("127.0.0.1:"+behind, "--starttls=mysql")
	check("TLS", port, verified...)
	check("TLS, compressed", port, append(verified, "--compress")...)
	if out, err := k.ask4(port, "--skip-ssl"); err == nil || !strings.Contains(out, "insecure transport") {
		t.Errorf("without TLS: %v\n%.300s", err, out)
	}
	if out, err := k.ask4(port, append(verified, "-pwrong")...); err == nil || !strings.Contains(out, "Access denied for user 'u'") {
		t.Errorf("a wrong password: %v\n%.300s", err, out)
	}
	port = k.front("127.0.0.1:"+behind, "--starttls=mysql optional")
	check("optional, with", port, verified...)
	check("optional, without", port, "--skip-ssl")

	// s is let in under TLS only.
	check("TLS to it", k.front("127.0.0.1:"+behind, k.secured("mysql")...), "--skip-ssl", "-us")
	port = k.front("127.0.0.1:"+behind, append(k.secured("mysql"), "--starttls=mysql")...)
	check("TLS on both sides", port, append(verified, "-us")...)
	if out, err := k.ask4(behind, "--skip-ssl", "-us"); err == nil {
		t.Errorf("s is let in without TLS:\n%s", out)
	}
}

// postgres starts a server that lets postgres in without a password. It has TLS.
func (k *kitchen) postgresTLS() (port string) {
	k.Helper()
	var bin string
	for _, dir := range glob(k, "/usr/lib/postgresql/*/bin") {
		bin = dir
	}
	if bin == "" {
		netservertest.Peer(k, "initdb")
	}
	data := k.opens("pg")
	initdb := exec.Command(bin+"/initdb", "-D", data+"/data", "-U", "postgres", "-A", "trust", "--no-sync")
	k.as("postgres", initdb)
	k.prepare(initdb)
	port = netservertest.FreePort(k)
	pem := k.keyFor("postgres")
	cmd := exec.Command(bin+"/postgres", "-D", data+"/data", "-p", port, "-h", "127.0.0.1", "-k", data, "-F",
		"-c", "ssl=on", "-c", "ssl_cert_file="+pem, "-c", "ssl_key_file="+pem)
	cmd.Env, cmd.Dir = environment(), k.dir
	k.as("postgres", cmd)
	k.launchCmd("127.0.0.1:"+port, cmd)
	return port
}

func glob(t testing.TB, pattern string) []string {
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func (k *kitchen) psql(port, more string) (string, error) {
	k.Helper()
	return k.run("psql", "-X", "-A", "-t", "-c", "SELECT 6*7, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", fmt.Sprintf("host=localhost hostaddr=127.0.0.1 port=%s user=postgres dbname=postgres %s", port, more))
}

func TestStartTLSPostgreSQL(t *testing.T) {
	k := newKitchen(t)
	behind := k.postgresTLS()
	port := k.front("127.0.0.1:"+behind, "--starttls=postgres", "--SSL_alpn_protocols=postgresql")
	for _, mode := range []string{"sslmode=verify-full sslrootcert=" + k.path("ca.pem"), "sslmode=prefer", "sslmode=require"} {
		if out, err := k.psql(port, mode); err != nil || out != "42|f\n" {
			t.Errorf("%s: %v\n%s", mode, err, out)
		}
	}
	if out, err := k.psql(port, "sslmode=disable"); err == nil || !strings.Contains(out, "this server wants TLS") {
		t.Errorf("without TLS: %v\n%s", err, out)
	}
	port = k.front(k.path("pg/.s.PGSQL."+behind), "--starttls=postgres optional")
	for _, mode := range []string{"sslmode=require", "sslmode=disable"} {
		if out, err := k.psql(port, mode); err != nil || out != "42|f\n" {
			t.Errorf("optional, %s: %v\n%s", mode, err, out)
		}
	}
	secured := k.secured("postgres")
	for port, mode := range map[string]string{
		k.front("127.0.0.1:"+behind, secured...):                                "sslmode=disable",
		k.front("127.0.0.1:"+behind, append(secured, "--starttls=postgres")...): "sslmode=require",
	} {
		if out, err := k.psql(port, mode); err != nil || out != "42|t\n" {
			t.Errorf("TLS to it, %s: %v\n%s", mode, err, out)
		}
	}
}

// slapd starts an empty directory. It has TLS.
func (k *kitchen) slapdTLS() (port string) {
	k.Helper()
	port = netservertest.FreePort(k)
	mkdir(k, k.path("ldap"))
	conf := k.file("slapd.conf", strings.NewReplacer("DIR", k.dir).Replace(`
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile DIR/front.pem
TLSCertificateKeyFile DIR/front.pem
database mdb
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw secret
directory DIR/ldap
`))
	k.launch("127.0.0.1:"+port, "slapd", "-h", "ldap://127.0.0.1:"+port, "-f", conf, "-d", "0")
	return port
}

func TestStartTLSLDAP(t *testing.T) {
	k := newKitchen(t)
	behind := "127.0.0.1:" + k.slapdTLS()
	port := k.front(behind, "--starttls=ldap")
	who := func(more ...string) (string, error) {
		return k.run("ldapwhoami", append(more, "-x", "-H", "ldap://127.0.0.1:"+port, "-D", "cn=admin,dc=example,dc=org", "-w", "secret")...)
	}
	if out, err := who("-ZZ"); err != nil || out != "dn:cn=admin,dc=example,dc=org\n" {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := who(); err == nil || !strings.Contains(out, "Confidentiality required (13)") {
		t.Errorf("without TLS: %v\n%s", err, out)
	}
	port = k.front(behind, k.secured("ldap")...)
	if out, err := who(); err != nil || out != "dn:cn=admin,dc=example,dc=org\n" {
		t.Errorf("TLS to it: %v\n%s", err, out)
	}
	port = k.front(behind, append(k.secured("ldap"), "--starttls=ldap")...)
	if out, err := who("-ZZ"); err != nil || out != "dn:cn=admin,dc=example,dc=org\n" {
		t.Errorf("TLS on both sides: %v\n%s", err, out)
	}
}
