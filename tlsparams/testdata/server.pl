# An IO::Socket::SSL server for the comparison in peers_test.go: reads its
# parameters as JSON from the first argument, prints its port, greets clients.
use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::SSL;
use JSON::PP;

my %args = %{ decode_json(shift) };
my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 10, ReuseAddr => 1) or die "listen: $!";
my $ctx = IO::Socket::SSL::SSL_Context->new({ SSL_server => 1, %args });
$| = 1;
if (!$ctx) { print "refused\n"; exit }
print $listen->sockport, "\n";
$SIG{ALRM} = sub { exit };
alarm 120;
while (my $c = $listen->accept) {
    if (IO::Socket::SSL->start_SSL($c, SSL_server => 1, SSL_reuse_ctx => $ctx, Timeout => 5)) { print $c "HELLO\n"; }
    close $c;
}
