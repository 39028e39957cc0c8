//go:build unix

package main_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// The five kinds of port in one process, all with the one echo.
func TestFivePortsAtOnce(t *testing.T) {
	netservertest.PerlModule(t, "IO::Socket::SSL")
	dir := openDir(t)
	stream, dgram := filepath.Join(dir, "ns.sock"), filepath.Join(dir, "nsd.sock")
	s := start(t, "--port", "0/tcp", "--port", "0/ssl", "--port", "0/udp",
		"--port", stream+"|unix", "--port", dgram+"|unixdgram", "--host", "127.0.0.1")
	tcp, ssl, udp := s.port(0), s.port(1), s.port(2)
	s.awaitUnix(stream)
	s.awaitUnix(dgram)
	s.awaitLog(`certificate generated in memory.*: sha256\S+`)

	const perl = `use IO::Socket::SSL; $| = 1;
		$s = IO::Socket::SSL->new(PeerAddr => "127.0.0.1:$ARGV[0]", SSL_verify_mode => 0) or die $SSL_ERROR;
		print scalar <$s>;
		while (<STDIN>) { print $s $_; print scalar <$s> }`
	streams := []*peer{ // all connected at the same time
		run(t, "openssl", "s_client", "-quiet", "-connect", "127.0.0.1:"+ssl),
		run(t, "gnutls-cli", "--insecure", "-p", ssl, "127.0.0.1"),
		run(t, "perl", "-e", perl, ssl),
		run(t, "socat", "-", "TCP:127.0.0.1:"+tcp),
		run(t, "nc", "127.0.0.1", tcp),
		run(t, "socat", "-", "UNIX:"+stream),
	}
	datagrams := []*peer{
		run(t, "socat", "-", "UDP:127.0.0.1:"+udp),
		run(t, "socat", "-", "UNIX-SENDTO:"+dgram+",bind="+filepath.Join(dir, "c")+",umask=0"),
	}
	for _, p := range streams {
		p.hear("Welcome to")
	}
	for _, p := range datagrams {
		p.say("ping")
		p.hear(`You said "ping"`)
	}
	for _, p := range streams {
		p.echoes()
		p.all()
	}
	s.stop()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 1 { // socat removes its own file, but later
		t.Errorf("left behind: %v, %v", left, err)
	}
	for _, path := range []string{stream, dgram} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("the socket file %s is still there", path)
		}
	}
}

func TestNoArgumentsIsTheEchoOn20203(t *testing.T) {
	s := start(t)
	bound := s.awaitLog(`(in use)|Binding to TCP port 20203 on host \S+ with IPv`)
	if bound[1] != "" {
		t.Skip("port 20203 is taken")
	}
	p := run(t, "socat", "-", "TCP:127.0.0.1:20203")
	p.echoes()
	p.all()
	s.stop()
}

func TestProgramCatOverTLS(t *testing.T) {
	netservertest.Peer(t, "cat")
	s := start(t, "--host", "127.0.0.1", "--port", "0/ssl", "--", "cat")
	p := run(t, "openssl", "s_client", "-quiet", "-no_ign_eof", "-connect", s.addr(0))
	for i := range 3 {
		line := fmt.Sprintf("line %d through cat\n", i)
		p.say(line)
		p.hear(line)
	}
	p.all()
	s.stop()
}

func TestProgramShellOverTLS(t *testing.T) {
	s := start(t, "--host", "127.0.0.1", "--port", "0/ssl", "--", "sh", "-c", `read x; echo "got $x"`)
	p := run(t, "openssl", "s_client", "-quiet", "-connect", s.addr(0))
	p.say("it; echo no\n")
	p.hear("got it; echo no\n")
	p.all() // the program's end is the client's
	s.stop()
}

func TestProgramWithHalfClose(t *testing.T) {
	netservertest.Peer(t, "sort")
	s := start(t, "--host", "127.0.0.1", "--port", "0", "--", "sort")
	p := run(t, "nc", "-N", "127.0.0.1", s.port(0))
	p.say("pear\napple\n")
	if out := p.all(); out != "apple\npear\n" {
		t.Errorf("sort gave %q", out)
	}
	s.stop()
}

// A Net::Server::INET program takes the socket as inetd gives it. It reads the
// client's address from REMOTE_HOST, which it keeps as its sockaddr; the
// socket itself tells the same by getpeername.
func TestProgramPerlINET(t *testing.T) {
	netservertest.PerlModule(t, "Net::Server::INET")
	script := filepath.Join(openDir(t), "inet.pl")
	write(t, script, `#!/usr/bin/perl
package Greeter;
use strict;
use base qw(Net::Server::INET);
use Socket;
sub process_request {
    my $self = shift;
    my ($port, $addr) = sockaddr_in(getpeername(STDIN));
    print "Hello $self->{server}{sockaddr}, ", inet_ntoa($addr), ":$port\r\n";
    while (<STDIN>) {
        s/[\r\n]+$//;
        print "You said '$_'\r\n";
        last if /quit/i;
    }
}
Greeter->run;
`)
	if err := os.Chmod(script, 0o644); err != nil {
		t.Fatal(err)
	}
	s := start(t, "--host", "127.0.0.1", "--port", "0/tcp", "--", "perl", script)
	c := dial(t, "tcp", s.addr(0))
	fmt.Fprint(c, "one\r\nquit\r\n")
	want := fmt.Sprintf("Hello 127.0.0.1, %s\r\nYou said 'one'\r\nYou said 'quit'\r\n", c.LocalAddr())
	if got := readAll(t, c); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s.stop()
}

// redis starts Debian's redis-server for the test, with nothing on disk, and
// returns its port.
func redis(t *testing.T) string {
	netservertest.Peer(t, "redis-cli")
	netservertest.Peer(t, "redis-benchmark")
	for range 5 {
		port := netservertest.FreePort(t)
		p := run(t, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
			"--dir", t.TempDir(), "--daemonize", "no")
		for p.running() {
			c, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
			if err == nil {
				c.Close()
				t.Cleanup(func() { p.signal(syscall.SIGTERM); p.wait() })
				return port
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Logf("redis-server did not start on port %s:\n%s", port, &p.out)
	}
	t.Fatal("redis-server did not start")
	return ""
}

func TestProxyToRedis(t *testing.T) {
	backend := redis(t)
	cert, key := certificate(t)
	ca := authority(t)
	s := start(t, "--host", "127.0.0.1", "--port", "0/ssl", "--SSL_cert_file", cert, "--SSL_key_file", key,
		"--proxy_to", "127.0.0.1:"+backend)
	cli := func(args ...string) string {
		t.Helper()
		return run(t, "redis-cli", append([]string{"--tls", "--cacert", ca, "-h", "127.0.0.1", "-p", s.port(0)}, args...)...).all()
	}
	if out := cli("PING"); out != "PONG\n" {
		t.Errorf("PING: %q", out)
	}
	big := strings.Repeat("0123456789abcdef", 64<<10)
	p := run(t, "redis-cli", "--tls", "--cacert", ca, "-h", "127.0.0.1", "-p", s.port(0), "-x", "SET", "big")
	p.say(big)
	if out := p.all(); out != "OK\n" {
		t.Errorf("SET: %q", out)
	}
	if out := cli("GET", "big"); out != big+"\n" {
		t.Errorf("a value of %d bytes came back with %d", len(big), len(out)-1)
	}
	out := run(t, "redis-benchmark", "--tls", "--cacert", ca, "-h", "127.0.0.1", "-p", s.port(0),
		"-n", "2000", "-c", "20", "-q", "-t", "ping_mbulk,set,lrange_100").all()
	if n := strings.Count(out, "requests per second"); n < 3 {
		t.Errorf("redis-benchmark printed:\n%s", out)
	}
	s.stop()
}

// A certificate that is renewed on disk is shown to new clients; the old ones
// stay.
func TestRenewedCertificateWithoutRestart(t *testing.T) {
	cert, key := certificate(t)
	s := echoServer(t, "ssl", "--SSL_cert_file", cert, "--SSL_key_file", key)
	first := dialTLS(t, s.addr(0))
	old := newSpeaker(t, first)
	old.hears("Welcome to")
	before := first.ConnectionState().PeerCertificates[0]
	newCert, newKey := certificate(t)
	for from, to := range map[string]string{newKey: key, newCert: cert} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	netservertest.Eventually(t, "the new certificate is shown", func() bool {
		c := dialTLS(t, s.addr(0))
		defer c.Close()
		return !c.ConnectionState().PeerCertificates[0].Equal(before)
	})
	old.says("still here\n")
	old.hears(`You said "still here"`)
	s.stop()
}

func TestCheckPrintsTheConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.conf")
	write(t, file, "port 127.0.0.1:20203/tcp\nmax_servers 10\n")
	out := run(t, binary, "single", "--conf_file", file, "--check", "--timeout_idle=60").all()
	var got struct {
		ServerType string              `json:"server_type"`
		Listeners  []map[string]string `json:"listeners"`
		Options    map[string]any      `json:"options"`
		Origin     map[string]string   `json:"origin"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in:\n%s", err, out)
	}
	for what, pair := range map[string][2]any{
		"server_type":         {got.ServerType, "Single"},
		"listeners":           {fmt.Sprint(got.Listeners), "[map[host:127.0.0.1 ipv:4 port:20203 proto:tcp]]"},
		"port":                {fmt.Sprint(got.Options["port"]), "[127.0.0.1:20203/tcp]"},
		"max_servers":         {got.Options["max_servers"], "10"},
		"origin of max":       {got.Origin["max_servers"], file + ":2"},
		"origin of idle":      {got.Origin["timeout_idle"], "command line"},
		"origin of log_level": {got.Origin["log_level"], "default"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %v, want %v, in:\n%s", what, pair[0], pair[1], out)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	if out := run(t, binary, "--help").all(); !strings.Contains(out, "--SSL_cert_file FILE") || !strings.HasPrefix(out, "Usage: netserver ") {
		t.Errorf("--help printed:\n%s", out)
	}
	if out := run(t, binary, "--version").all(); !strings.HasPrefix(out, "netserver ") || strings.Count(out, "\n") != 1 {
		t.Errorf("--version printed %q", out)
	}
}
