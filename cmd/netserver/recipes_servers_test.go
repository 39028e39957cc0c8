//go:build unix

package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"netserver/netservertest"
)

// The real servers that recipes have behind them, each on loopback, with all
// its files in the kitchen's directory.

// launch starts a server of somebody else and waits until it takes connections.
func (k *kitchen) launch(address, program string, args ...string) *process {
	k.Helper()
	cmd := exec.Command(netservertest.Peer(k, program), args...)
	cmd.Env, cmd.Dir = environment(), k.dir
	return k.launchCmd(address, cmd)
}

func (k *kitchen) launchCmd(address string, cmd *exec.Cmd) *process {
	k.Helper()
	network := "tcp"
	if filepath.IsAbs(address) {
		network = "unix"
	}
	p := launch(k, filepath.Base(cmd.Path), cmd)
	k.Cleanup(func() {
		if k.Failed() {
			k.Logf("%s wrote:\n%s%s", p.name, &p.out, &p.log)
		}
	})
	up := func() bool {
		c, err := net.DialTimeout(network, address, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	netservertest.Eventually(k, p.name+" listens", func() bool { return !p.running() || up() })
	if !p.running() {
		k.Fatalf("%s has ended:\n%s%s", p.name, &p.out, &p.log)
	}
	return p
}

// file writes a file that other users may read.
func (k *kitchen) file(name, text string) string {
	k.Helper()
	if err := os.MkdirAll(filepath.Dir(k.path(name)), 0o755); err != nil {
		k.Fatal(err)
	}
	if err := os.WriteFile(k.path(name), []byte(text), 0o644); err != nil {
		k.Fatal(err)
	}
	return k.path(name)
}

// opens makes a directory in which everybody may do everything, as servers
// that root starts become somebody else.
func (k *kitchen) opens(name string) string {
	k.Helper()
	mkdir(k, k.path(name))
	if err := os.Chmod(k.path(name), 0o777); err != nil {
		k.Fatal(err)
	}
	return k.path(name)
}

func (k *kitchen) redis(printed string, more ...string) *process {
	k.Helper()
	port := k.port(printed)
	args := []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", k.dir}
	return k.launch("127.0.0.1:"+port, "redis-server", append(args, more...)...)
}

// dovecot has the mailbox of everybody whose password is "secret".
func (k *kitchen) dovecot(printed string) {
	k.Helper()
	me, err := user.Current()
	if err != nil {
		k.Fatal(err)
	}
	users, mail := "", "nobody"
	if me.Uid != "0" {
		group, err := user.LookupGroupId(me.Gid)
		if err != nil {
			k.Fatal(err)
		}
		users, mail = fmt.Sprintf("default_internal_user = %[1]s\ndefault_internal_group = %[2]s\ndefault_login_user = %[1]s\n", me.Username, group.Name), me.Username
	}
	k.opens("mail")
	conf := k.file("dovecot.conf", users+strings.NewReplacer("DIR", k.dir, "PORT", k.port(printed), "MAIL", mail).Replace(`
base_dir = DIR/dovecot
state_dir = DIR/dovecot
log_path = /dev/stderr
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:DIR/mail
service imap-login {
  chroot =
  inet_listener imap {
    port = PORT
  }
  inet_listener imaps {
    port = 0
  }
}
service anvil {
  chroot =
}
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=MAIL gid=`+k.group(mail)+` home=DIR/mail
}
`))
	k.launch("127.0.0.1:"+k.port(printed), "dovecot", "-F", "-c", conf)
}

func (k *kitchen) group(name string) string {
	u, err := user.Lookup(name)
	if err != nil {
		k.Fatal(err)
	}
	return u.Gid
}

// nginx runs with the given servers of its http part.
func (k *kitchen) nginx(printed, servers string) {
	k.Helper()
	tmp := ""
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		tmp += fmt.Sprintf("%s_temp_path %s/nginx-%s;\n", what, k.dir, what)
	}
	conf := k.file("nginx.conf", fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/nginx.pid; error_log /dev/stderr;
events { }
http {
access_log off;
%[2]s
%[3]s
}
`, k.dir, tmp, k.here(servers)))
	k.launch("127.0.0.1:"+k.port(printed), "nginx", "-e", "/dev/stderr", "-c", conf)
}

// sshd lets the key in that ssh_config names.
func (k *kitchen) sshd(printed string) {
	k.Helper()
	me, err := user.Current()
	if err != nil {
		k.Fatal(err)
	}
	passwd, _ := os.ReadFile("/etc/passwd")
	if regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(me.Username) + `:.*/(nologin|false)$`).Match(passwd) {
		k.Skip("nobody can log in as " + me.Username)
	}
	if me.Uid == "0" { // where sshd shuts its unprivileged part in
		if err := os.Mkdir("/run/sshd", 0o755); err == nil {
			k.Cleanup(func() { os.Remove("/run/sshd") })
		}
	}
	for _, name := range []string{"host", "id"} {
		run(k, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", k.path(name)).all()
	}
	conf := k.file("sshd_config", strings.ReplaceAll(`
HostKey DIR/host
AuthorizedKeysFile DIR/id.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
`, "DIR", k.dir))
	k.file("ssh_config", strings.NewReplacer("DIR", k.dir, "USER", me.Username).Replace(`
User USER
IdentityFile DIR/id
IdentitiesOnly yes
BatchMode yes
StrictHostKeyChecking no
UserKnownHostsFile DIR/known_hosts
LogLevel ERROR
`))
	// sshd wants its own name with its path.
	k.launch("127.0.0.1:"+k.port(printed), netservertest.Peer(k, "sshd"), "-D", "-e", "-f", conf,
		"-o", "ListenAddress=127.0.0.1:"+k.port(printed))
}

// dnsmasq knows one name.
func (k *kitchen) dnsmasq(printed string) {
	k.Helper()
	k.dnsmasqFor(printed, "--address=/www.example.com/192.0.2.7")
}

func (k *kitchen) dnsmasqFor(printed, names string) {
	k.Helper()
	k.launch("127.0.0.1:"+k.port(printed), "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-",
		"--no-resolv", "--no-hosts", "--pid-file=", "--user=", "--listen-address=127.0.0.1", "--bind-interfaces",
		"--port="+k.port(printed), names)
}

// pebble is a certificate authority that finds every name of example.com on
// this machine, at the port that stands here for the printed one. The server
// has its address instead of Let's Encrypt's. root.pem verifies what it issues.
func (k *kitchen) pebble(printed string) {
	k.Helper()
	k.dnsmasqFor("5353", "--address=/example.com/127.0.0.1")
	k.certificate("pebble.pem", netservertest.Leaf{})
	api, control := "localhost:"+k.port("14000"), "localhost:"+k.port("15000")
	conf := k.file("pebble.json", strings.NewReplacer("DIR", k.dir, "API", api, "CONTROL", control, "PORT", k.port(printed)).Replace(`{"pebble": {
"listenAddress": "API", "managementListenAddress": "CONTROL", "certificate": "DIR/pebble.pem", "privateKey": "DIR/pebble.pem",
"httpPort": 1, "tlsPort": PORT, "retryAfter": {"authz": 1, "order": 1},
"profiles": {"default": {"description": "the default", "validityPeriod": 864000}}
}}`))
	cmd := exec.Command(netservertest.Peer(k, "pebble"), "-config", conf, "-dnsserver", "127.0.0.1:"+k.port("5353"))
	cmd.Env = append(environment(), "PEBBLE_VA_NOSLEEP=1")
	k.launchCmd(control, cmd)
	netservertest.Eventually(k, "pebble shows its root", func() bool {
		get := exec.Command(netservertest.Peer(k, "curl"), "-sSf", "--cacert", k.path("ca.pem"), "-o", k.path("root.pem"), "https://"+control+"/roots/0")
		get.Env = environment()
		return get.Run() == nil
	})
	k.more = "--acme_directory https://" + api + "/dir --acme_ca_file ca.pem"
}
