#!/usr/bin/perl
# Asks Net::Server what it does with clients. Reads JSON, an array of cases,
# on standard input and writes an array of answers to standard output:
#
#   {"rules": {key: value or [values]}, "client": {"proto", "addr", "host"},
#    "dns": {"names": {addr: name}, "addrs": {name: [addrs]}}}
#   -> {"allowed": true|false, "log": [lines], "died": text or null}
#
# The program's own configuration, client information and allow_deny are
# Net::Server's; only the socket and the resolver are replaced. A client
# without a name gets its address as name, which is what getnameinfo gives.
use strict;
use warnings;
use JSON::PP;

package Client;
sub new          { my ($class, %self) = @_; return bless \%self, $class }
sub NS_proto     { $_[0]{proto} }
sub NS_port      { '/run/x.sock' }
sub sockname     { 'local' }
sub sockhost     { '127.0.0.1' }
sub sockport     { 20203 }
sub peername     { 'remote' }
sub peeraddr     { 'packed' }
sub peerhost     { $_[0]{addr} }
sub peerport     { 40000 }
sub peerhostname { $_[0]{host} }

package Asked;
use base qw(Net::Server::Fork);
our @log;
sub log { my ($self, $level, $text) = @_; push @log, $text if $text =~ /Double reverse/ }
sub log_time   { 'TIME' }
sub fatal      { my ($self, $text) = @_; die $text }

package main;
use Net::Server::Fork;
use Net::Server::Proto;

my $cases = do { local $/; decode_json(<STDIN>) };
my $dns;
{
    no warnings 'redefine';
    *Net::Server::Proto::get_addr_info = sub {
        my ($class, $host) = @_;
        return [$host, 0, 4] if $host =~ /^\d+(?:\.\d+){3}$/ || $host =~ /:/;
        my $addrs = $dns->{addrs}{$host} or die "Unresolveable [$host]:0: Name or service not known\n";
        return map {[$_, 0, /:/ ? 6 : 4]} @$addrs;
    };
}

my @answers;
for my $case (@$cases) {
    $dns = $case->{dns} || {};
    @Asked::log = ();
    my $c = $case->{client};
    my $host = exists($dns->{names}{$c->{addr} // ''}) ? $dns->{names}{$c->{addr}} : $c->{addr};
    my $died;
    local $SIG{__WARN__} = sub {};
    my $allowed = eval {
        my $server = Asked->new({%{ $case->{rules} }, log_level => 4});
        local @ARGV = ();
        $server->_initialize;
        $server->post_configure;
        $server->{server}{client} = Client->new(proto => $c->{proto}, addr => $c->{addr}, host => $host);
        $server->get_client_info;
        $server->allow_deny;
    };
    $died = "$@" if $@;
    if (defined $died) { $died =~ s/,? (?:at \S+|<STDIN>) line \d+\.?//g; $died =~ s/\s+\z// }
    push @answers, {
        allowed => $allowed ? JSON::PP::true : JSON::PP::false,
        died    => $died,
        log     => [map { s/^TIME //r } @Asked::log],
    };
}
my $json = JSON::PP->new->canonical;
print "[\n", join(",\n", map { $json->encode($_) } @answers), "\n]\n";
