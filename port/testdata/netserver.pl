#!/usr/bin/perl
# Asks the installed Net::Server how it reads port specifications. Every line
# of standard input is one case as a JSON object:
#
#   ports, hosts, protos, ipvs  a text, a list of texts, or null; a port in a
#                               list may be a map
#   env_ipv, no_ipv6            the environment's IPV and NO_IPV6
#   no_ipv6_stack               true: a machine without IPv6
#   default_port                what the method of that name returns
#
# The first line of output is {"version": ...}; then one line follows for each
# case, {"rows": [...], "log": [...]} or {"error": "...", "log": [...]}.
#
# Nothing is bound. Names and services come from the tables below, never from
# the machine, so that the answers are the same everywhere; the Go test's
# resolver has the same tables.
use strict;
use warnings;
use JSON::PP ();
use Socket qw(AF_INET AF_INET6 SOCK_STREAM SOCK_DGRAM pack_sockaddr_in pack_sockaddr_in6 inet_aton inet_pton);

our %names = (
    ''            => ['0.0.0.0', '::'],
    'localhost'   => ['127.0.0.1'],
    'dual.test'   => ['2001:db8::1', '192.0.2.1'],
    'v6.test'     => ['2001:db8::6'],
    'two.test'    => ['192.0.2.1', '192.0.2.2'],
    'twice.test'  => ['192.0.2.7', '192.0.2.7'],
    'any.test'    => ['0.0.0.0', '::'],
    'mapped.test' => ['::ffff:192.0.2.9', '192.0.2.9'],
);
our %services = (
    tcp => {http => 80, https => 443, domain => 53, 'http-alt' => 8080, smtp => 25},
    udp => {https => 443, domain => 53, ntp => 123},
);

BEGIN {
    *CORE::GLOBAL::getservbyname = sub {
        my ($name, $proto) = @_;
        my $port = $services{$proto} && $services{$proto}{$name} or return;
        return wantarray ? ($name, '', $port, $proto) : $port;
    };
    *CORE::GLOBAL::gethostbyname = sub {
        my @ip = grep { !/:/ } addresses($_[0]) or return;
        return ($_[0], '', AF_INET, 4, map { inet_aton($_) } @ip);
    };
}
use Net::Server;
use Net::Server::Proto;
eval { require Socket6 }; # now, so that nothing loads it over what follows

# addresses returns the list for a name from the table, and reads anything
# else as a number in one of the forms that getaddrinfo knows.
sub addresses {
    my $host = shift;
    return @{ $names{$host} } if $names{$host};
    my ($err, @res) = Socket::getaddrinfo($host, undef, {flags => Socket::AI_NUMERICHOST(), socktype => SOCK_STREAM});
    return map { (Socket::getnameinfo($_->{addr}, Socket::NI_NUMERICHOST()))[1] } @res;
}

sub sockaddr {
    my ($ip, $port) = @_;
    return $ip =~ /:/ ? (AF_INET6, pack_sockaddr_in6($port, inet_pton(AF_INET6, $ip))) : (AF_INET, pack_sockaddr_in($port, inet_aton($ip)));
}

{
    no warnings qw(redefine once);
    # Until 2.013 names are looked up through Socket6, later through Socket.
    *Socket6::getaddrinfo = sub {
        my ($host, $port, undef, $type, $proto) = @_;
        my @res = map { my ($family, $addr) = sockaddr($_, $port); ($family, $type, $proto, $addr, '') } addresses($host);
        return @res ? @res : 'Name or service not known';
    };
    *Net::Server::Proto::getaddrinfo = sub {
        my ($host, $port, $hints) = @_;
        die "Usage: getaddrinfo(host, service, hints)\n" if ref $hints ne 'HASH';
        my @res = map { my ($family, $addr) = sockaddr($_, $port); {family => $family, addr => $addr} } addresses($host);
        return @res ? ('', @res) : 'Name or service not known';
    };
    *Net::Server::Proto::_bindv6only = sub {0};
    *Net::Server::Proto::CAN_DISABLE_V6ONLY = sub { $main::no_stack ? die "no IPv6\n" : 1 };
    *Net::Server::Proto::ipv6_package = sub { $ENV{NO_IPV6} ? undef : 'Opened' };
    *Net::Server::Proto::object = sub { bless {}, 'Opened' };
}

# Older versions say IPv6 of the one socket for both families, whose rows later
# ones mark with *, and rewrite a port such as 00080. These two are levelled
# here, so that all that follows from them need not be excused case by case.
if ($Net::Server::VERSION < 2.018) {
    no warnings 'redefine';
    my $get_addr_info = \&Net::Server::Proto::get_addr_info;
    *Net::Server::Proto::get_addr_info = sub {
        my ($class, $host, $port, $proto) = @_;
        my @rows = $get_addr_info->(@_);
        for my $row (@rows) {
            $row->[2] = '*' if $row->[3] && $row->[3] =~ /will be handled by/;
            $row->[1] = $port if $port =~ /^\d+$/;
        }
        return @rows;
    };
}

{
    package Opened; # stands for a socket
    sub new     { bless {}, shift }
    sub connect {1}
    sub NS_port {49152}
}

{
    package Reader;
    our @ISA = ('Net::Server');
    our @log;
    sub log { my ($self, $level, $text) = @_; push @log, $text; }
    sub default_port { $_[0]{default_port} }
    sub fatal { my ($self, $text) = @_; die "$text\n"; }
}

sub answer {
    my $case = shift;
    local %ENV = %ENV;
    delete @ENV{qw(IPV NO_IPV6)};
    $ENV{IPV}     = $case->{env_ipv} if defined $case->{env_ipv};
    $ENV{NO_IPV6} = 1                if $case->{no_ipv6};
    local $main::no_stack = $case->{no_ipv6_stack};
    local $SIG{__WARN__} = sub { };
    @Reader::log = ();

    my $self = bless {server => {}, default_port => $case->{default_port}}, 'Reader';
    for my $key (qw(port host proto ipv)) {
        $self->{server}{$key} = $case->{"${key}s"} if defined $case->{"${key}s"};
    }
    # Net::Server's configure makes a list of what is given for port.
    $self->{server}{port} = [$self->{server}{port}] if defined $self->{server}{port} && !ref $self->{server}{port};
    my $rows = eval { $self->prepared_ports };
    my $error = $@;
    s/( at \S+ line \d+.*)?\s*\z//s for $error, @Reader::log;
    return {rows => [map {text($_)} @$rows], log => [@Reader::log]} if $rows;
    return {error => $error, log => [@Reader::log]};
}

# text makes every value of a row a string, so that JSON shows 4 and "4" alike.
sub text {
    my $row = shift;
    return {map { my $v = $row->{$_}; $_ => ref $v ? [map {"$_"} @$v] : "$v" } grep { defined $row->{$_} } keys %$row};
}

my $json = JSON::PP->new->canonical;
$| = 1;
print $json->encode({version => "$Net::Server::VERSION"}), "\n";
while (my $line = <STDIN>) {
    print $json->encode(answer($json->decode($line))), "\n";
}
