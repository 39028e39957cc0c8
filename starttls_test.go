package netserver_test

import (
	"os/exec"
	"testing"

	"netserver/netservertest"
)

// TestStartAndStopTLSWithPerl lets the original's own methods start and stop
// TLS on one connection, twice.
func TestStartAndStopTLSWithPerl(t *testing.T) {
	perl := netservertest.PerlModule(t, "IO::Socket::SSL")
	r, proto := startTLSServer(t, true)
	const script = `
		use strict; use IO::Socket::INET; use IO::Socket::SSL; $| = 1;
		my $s = IO::Socket::INET->new(PeerAddr => shift, Timeout => 20) or die $!;
		sub ask { my $line = shift; print $s "$line\r\n"; my $got = <$s>; $got =~ s/\r\n//; print "$got\n" }
		for (1, 2) {
			ask("plain");
			ask("STARTTLS");
			IO::Socket::SSL->start_SSL($s, SSL_ca_file => shift(@{[@ARGV]}), SSL_verifycn_name => "localhost", SSL_verifycn_scheme => "smtp") or die $SSL_ERROR;
			ask("secret");
			ask("STOPTLS");
			$s->stop_SSL(SSL_fast_shutdown => 0) or die "stop_SSL: $SSL_ERROR";
		}
		ask("end");
	`
	out, err := exec.CommandContext(t.Context(), perl, "-e", script, r.Addr(t, proto).String(), netservertest.CA(t).File(t)).CombinedOutput()
	const round = "plain tls=false\ngo ahead\nsecret tls=true\nplain again\n"
	if want := round + round + "end tls=false\n"; string(out) != want || err != nil {
		t.Errorf("%v, got:\n%s\nwant:\n%s", err, out, want)
	}
}
