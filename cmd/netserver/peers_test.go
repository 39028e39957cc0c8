//go:build unix

package main_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"netserver/netservertest"
)

// Each test here is one client program talking to the running command.

// echoServer is a server with one loopback port of the given protocol.
func echoServer(t *testing.T, proto string, args ...string) *server {
	t.Helper()
	return start(t, append([]string{"--host", "127.0.0.1", "--port", "0/" + proto}, args...)...)
}

// tlsServer is echoServer with a certificate that clients can verify with the
// returned file, its authority.
func tlsServer(t *testing.T, args ...string) (s *server, ca string) {
	t.Helper()
	cert, key := certificate(t)
	return echoServer(t, "ssl", append(args, "--SSL_cert_file", cert, "--SSL_key_file", key)...), authority(t)
}

func TestPeerOpenSSL(t *testing.T) {
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version[1:], func(t *testing.T) {
			s, ca := tlsServer(t)
			p := run(t, "openssl", "s_client", "-quiet", version, "-CAfile", ca,
				"-verify_return_error", "-verify_ip", "127.0.0.1", "-connect", s.addr(0))
			p.echoes()
			p.all()
			s.stop()
		})
	}
}

func TestPeerGnuTLS(t *testing.T) {
	s, ca := tlsServer(t)
	p := run(t, "gnutls-cli", "--x509cafile", ca, "--port", s.port(0), "127.0.0.1")
	p.echoes()
	if out := p.all(); !strings.Contains(out, "certificate is trusted") {
		t.Errorf("gnutls-cli did not trust the certificate:\n%s", out)
	}
}

func TestPeerPerlSSL(t *testing.T) {
	netservertest.PerlModule(t, "IO::Socket::SSL")
	s, ca := tlsServer(t)
	const script = `
		use strict; use IO::Socket::SSL; $| = 1;
		my ($port, $ca) = @ARGV;
		my $s = IO::Socket::SSL->new(PeerAddr => "127.0.0.1:$port", SSL_ca_file => $ca,
			SSL_verify_mode => SSL_VERIFY_PEER) or die "$! $SSL_ERROR";
		print scalar <$s>;
		while (my $line = <STDIN>) {
			print $s $line;
			print scalar <$s>;
		}
		print "end: ", defined(<$s>) ? "no" : "yes", ", ", $s->get_sslversion, "\n";
		`
	p := run(t, "perl", "-e", script, s.port(0), ca)
	p.echoes()
	if out := p.all(); !strings.HasSuffix(out, "end: yes, TLSv1_3\n") {
		t.Errorf("at the end:\n%s", out)
	}
}

func TestPeerSocatTLS(t *testing.T) {
	s, ca := tlsServer(t)
	p := run(t, "socat", "-", "OPENSSL:127.0.0.1:"+s.port(0)+",cafile="+ca)
	p.echoes()
	p.all()
}

func TestPeerCurlTLS(t *testing.T) {
	s, ca := tlsServer(t)
	// The echo is no web server; HTTP/0.9 has no head, so curl takes all as
	// the page. The header ends the conversation.
	p := run(t, "curl", "-sS", "--http0.9", "--cacert", ca, "-H", "quit: 1", "https://localhost:"+s.port(0)+"/x",
		"--resolve", "localhost:"+s.port(0)+":127.0.0.1")
	if out := p.all(); !strings.Contains(out, `: You said "GET /x HTTP/1.1"`) {
		t.Errorf("curl printed:\n%s", out)
	}
}

func TestPeerCurlTelnet(t *testing.T) {
	s := echoServer(t, "tcp")
	p := run(t, "curl", "-sS", "-N", "telnet://"+s.addr(0))
	// When nothing has come for a tenth of a second it waits for its input, and
	// for nothing else; so all of that is there at once.
	p.say("hello from curl\r\nsecond line\nquit\n")
	out := p.all()
	for _, want := range []string{`Welcome to "netserver" (`, `: You said "hello from curl"`, `: You said "second line"`, `: You said "quit"`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in:\n%s", want, out)
		}
	}
}

func TestPeerNetcatTCP(t *testing.T) {
	s := echoServer(t, "tcp")
	p := run(t, "nc", "-N", "127.0.0.1", s.port(0))
	p.echoes()
	p.all()
}

func TestPeerNetcatHalfClose(t *testing.T) {
	s := echoServer(t, "tcp")
	p := run(t, "nc", "-N", "127.0.0.1", s.port(0))
	p.say("one\ntwo\nthree")
	out := p.all() // -N passes the end on, and the answers still come
	if got := regexp.MustCompile(`You said "(\w+)"`).FindAllString(out, -1); len(got) != 3 {
		t.Errorf("nc got %q", out)
	}
}

func TestPeerNetcatUDP(t *testing.T) {
	s := echoServer(t, "udp")
	p := run(t, "nc", "-u", "-W", "1", "127.0.0.1", s.port(0)) // -W 1: one answer
	p.say("ping")
	if out := p.all(); out != `You said "ping"` {
		t.Errorf("nc got %q", out)
	}
}

func TestPeerNetcatUNIX(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := start(t, "--port", path+"|unix")
	s.awaitUnix(path)
	p := run(t, "nc", "-N", "-U", path)
	p.echoes()
	p.all()
}

func TestPeerSocatTCP(t *testing.T) {
	s := echoServer(t, "tcp")
	p := run(t, "socat", "-", "TCP:"+s.addr(0))
	p.echoes()
	p.all()
}

func TestPeerSocatUDP(t *testing.T) {
	s := echoServer(t, "udp")
	p := run(t, "socat", "-", "UDP:"+s.addr(0))
	p.say("ping")
	p.hear(`You said "ping"`)
	p.say("pong")
	p.hear(`You said "pong"`)
	p.all()
}

func TestPeerSocatUNIX(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := start(t, "--port", path+"|unix")
	s.awaitUnix(path)
	p := run(t, "socat", "-", "UNIX-CONNECT:"+path)
	p.echoes()
	p.all()
}

func TestPeerSocatUNIXDatagram(t *testing.T) {
	dir := openDir(t)
	path := filepath.Join(dir, "s")
	s := start(t, "--port", path+"|unixdgram")
	s.awaitUnix(path)
	p := run(t, "socat", "-", "UNIX-SENDTO:"+path+",bind="+filepath.Join(dir, "c")+",umask=0")
	p.say("ping")
	p.hear(`You said "ping"`)
	p.all()
}

func TestPeerPerlTCP(t *testing.T) {
	netservertest.PerlModule(t, "IO::Socket::INET")
	s := echoServer(t, "tcp")
	const script = `
		use strict; use IO::Socket::INET; $| = 1;
		my $s = IO::Socket::INET->new(PeerAddr => shift) or die $!;
		print scalar <$s>;
		while (my $line = <STDIN>) { print $s $line; print scalar <$s> }
		`
	p := run(t, "perl", "-e", script, s.addr(0))
	p.echoes()
	p.all()
}
