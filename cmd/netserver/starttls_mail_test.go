//go:build unix

package main_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"netserver/netservertest"
)

// mail starts a dovecot whose users have the password "secret". It has TLS.
func (k *kitchen) mail() (ports map[string]string, log func() string) {
	k.Helper()
	if os.Getuid() != 0 {
		k.Skip("dovecot is started as root here")
	}
	ports = map[string]string{"imap": netservertest.FreePort(k), "pop3": netservertest.FreePort(k), "sieve": netservertest.FreePort(k)}
	services := ""
	for name, port := range ports {
		login := name
		if name == "sieve" {
			login = "managesieve"
		}
		services += fmt.Sprintf("service %s-login {\n chroot =\n inet_listener %s {\n port = %s\n }\n", login, name, port)
		if name != "sieve" {
			services += fmt.Sprintf(" inet_listener %ss {\n port = 0\n }\n", name)
		}
		services += "}\n"
	}
	k.opens("mail")
	conf := k.file("dovecot.conf", strings.NewReplacer("DIR", k.dir).Replace(`
base_dir = DIR/dovecot
state_dir = DIR/dovecot
log_path = /dev/stderr
protocols = imap pop3 sieve
listen = 127.0.0.1
ssl_cert = <DIR/front.pem
ssl_key = <DIR/front.pem
mail_location = maildir:DIR/mail
service anvil {
  chroot =
}
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=nobody gid=`+k.group("nobody")+` home=DIR/mail
}
ssl = yes
disable_plaintext_auth = no
`)+services)
	p := k.launch("127.0.0.1:"+ports["imap"], "dovecot", "-F", "-c", conf)
	return ports, p.log.String
}

// login logs in by IMAP, POP3 and ManageSieve and returns what is wrong. With
// tls the clients start it.
func (k *kitchen) login(name, port string, tls bool) error {
	k.Helper()
	var out, want string
	var err error
	if name == "sieve" {
		plain := base64.StdEncoding.EncodeToString([]byte("\x00ann\x00secret"))
		openssl := exec.CommandContext(k.Context(), netservertest.Peer(k, "openssl"), "s_client", "-connect", "127.0.0.1:"+port, "-starttls", "sieve", "-quiet", "-CAfile", k.path("ca.pem"), "-verify_return_error")
		if !tls {
			openssl = exec.CommandContext(k.Context(), netservertest.Peer(k, "nc"), "127.0.0.1", port)
		}
		openssl.Stdin = strings.NewReader("AUTHENTICATE \"PLAIN\" \"" + plain + "\"\r\nLOGOUT\r\n")
		var b []byte
		b, err = openssl.Output()
		out, want = string(b), "OK \"Logged in.\"\r\n"
		if strings.Contains(out, "STARTTLS") || strings.Count(out, "IMPLEMENTATION") != 1 {
			return fmt.Errorf("the capabilities are %q", out)
		}
	} else {
		args := []string{"-sS", "--cacert", k.path("ca.pem"), name + "://ann:secret@localhost:" + port + "/"}
		if tls {
			args = append(args, "--ssl-reqd")
		}
		out, err = k.run("curl", args...)
		want = map[string]string{"imap": "* LIST (\\HasNoChildren) \".\" INBOX\r\n", "pop3": ""}[name]
	}
	if err != nil || !strings.Contains(out, want) {
		return fmt.Errorf("%v\n%s", err, out)
	}
	return nil
}

func TestStartTLSDovecot(t *testing.T) {
	k := newKitchen(t)
	ports, _ := k.mail()
	for name, behind := range ports {
		port := k.front("127.0.0.1:"+behind, "--starttls="+name)
		if err := k.login(name, port, true); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "sieve" {
			continue // whose capabilities would be those of dovecot
		}
		if err := k.login(name, port, false); err == nil {
			t.Errorf("%s: logged in without TLS", name)
		}
		if err := k.login(name, k.front("127.0.0.1:"+behind, "--starttls="+name+" optional"), false); err != nil {
			t.Errorf("%s, optional, without TLS: %v", name, err)
		}
	}
}

// Clients log in under TLS that netserver has started with dovecot.
func TestStartTLSToDovecot(t *testing.T) {
	k := newKitchen(t)
	ports, log := k.mail()
	for name, behind := range ports {
		if err := k.login(name, k.front("127.0.0.1:"+behind, k.secured(name)...), false); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := k.login(name, k.front("127.0.0.1:"+behind, append(k.secured(name), "--starttls="+name)...), true); err != nil {
			t.Errorf("%s, TLS on both sides: %v", name, err)
		}
	}
	under := regexp.MustCompile(`Login: user=<ann>.*, TLS,`)
	netservertest.Eventually(t, "six logins under TLS", func() bool { return len(under.FindAllString(log(), -1)) == 6 })
}

// postfix starts a server that throws mail away. It has TLS.
func (k *kitchen) postfixTLS() (port string, log func() string) {
	k.Helper()
	if os.Getuid() != 0 {
		k.Skip("postfix is started as root")
	}
	port = netservertest.FreePort(k)
	for _, dir := range []string{"postfix", "spool", "data"} {
		mkdir(k, k.path(dir))
		os.Chmod(k.path(dir), 0o755)
	}
	k.prepare(exec.Command("chown", "postfix", k.path("data")))
	k.file("postfix/main.cf", strings.NewReplacer("DIR", k.dir).Replace(`
compatibility_level = 3.6
queue_directory = DIR/spool
data_directory = DIR/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.example.org
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination = example.org
local_recipient_maps =
local_transport = discard:
mynetworks = 127.0.0.0/8
alias_maps =
maillog_file = /dev/stdout
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_tls_security_level = may
smtpd_tls_cert_file = DIR/front.pem
smtpd_tls_key_file = DIR/front.pem
notify_classes =
smtpd_tls_loglevel = 1
`))
	k.file("postfix/master.cf", strings.ReplaceAll(`
127.0.0.1:PORT inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
discard unix - - n - - discard
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
tlsmgr unix - - n 1000? 1 tlsmgr
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`, "PORT", port))
	p := k.launch("127.0.0.1:"+port, "postfix", "-c", k.path("postfix"), "start-fg")
	k.Cleanup(func() { exec.Command("postfix", "-c", k.path("postfix"), "stop").Run() })
	return port, func() string { return p.out.String() + p.log.String() }
}

func TestStartTLSPostfix(t *testing.T) {
	k := newKitchen(t)
	behind, log := k.postfixTLS()
	send := func(port string, more ...string) (string, error) {
		return k.run("swaks", append([]string{"--server", "127.0.0.1", "--port", port, "--from", "a@example.org", "--to", "b@example.org", "--timeout", "20"}, more...)...)
	}
	verified := []string{"--tls", "--tls-verify", "--tls-ca-path", k.path("ca.pem"), "--tls-sni", "localhost"}
	port := k.front("127.0.0.1:"+behind, "--starttls=smtp name=front.example.org")
	out, err := send(port, verified...)
	if err != nil || !strings.Contains(out, "<-  220 front.example.org") || !strings.Contains(out, "<~  250-mx.example.org") || !strings.Contains(out, "queued as") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := send(port); err == nil || !strings.Contains(out, "530 5.7.0") {
		t.Errorf("without TLS: %v\n%s", err, out)
	}
	port = k.front("127.0.0.1:"+behind, "--starttls=smtp optional")
	if out, err := send(port); err != nil || !strings.Contains(out, "queued as") {
		t.Errorf("optional, without TLS: %v\n%s", err, out)
	}
	port = k.front("127.0.0.1:"+behind, "--starttls=smtp xclient")
	if out, err := send(port, verified...); err != nil || !strings.Contains(out, "queued as") {
		t.Errorf("XCLIENT: %v\n%s", err, out)
	}
	port = k.front("127.0.0.1:"+behind, k.secured("smtp")...)
	if out, err := send(port); err != nil || !strings.Contains(out, "<-  220 localhost ESMTP") || !strings.Contains(out, "queued as") || strings.Contains(out, "STARTTLS") {
		t.Errorf("TLS to it: %v\n%s", err, out)
	}
	netservertest.Eventually(t, "postfix has TLS", func() bool { return strings.Contains(log(), "TLS connection established from localhost") })
	port = k.front("127.0.0.1:"+behind, append(k.secured("smtp"), "--starttls=smtp")...)
	if out, err := send(port, verified...); err != nil || !strings.Contains(out, "queued as") {
		t.Errorf("TLS on both sides: %v\n%s", err, out)
	}
	netservertest.Eventually(t, "postfix has heard by XCLIENT who the client is", func() bool { return strings.Contains(log(), "client=unknown[127.0.0.1]") })
}
