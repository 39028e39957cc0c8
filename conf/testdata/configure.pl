#!/usr/bin/perl
# Feeds command lines, run arguments and conf files to Net::Server's own
# configure and prints what it makes of them.
#
# Standard input: a JSON list of cases {argv, run, file, path}, each of which
# may be missing: file is the text of a conf file, path the name of one. Standard output: {version, kinds, results}; kinds says for each key
# whether it is a list, and a result holds the keys that have a value, the
# arguments left over, and what configure died of. A character
# of the JSON is one byte.
use strict;
use warnings;
use File::Temp qw(tempdir);
use JSON::PP;
use Net::Server::PreFork;

package Configured;
our @ISA = ('Net::Server::PreFork');
sub fatal { die "$_[1]\n" }

package main;

my $json  = JSON::PP->new->utf8->ascii->canonical;
my $cases = $json->decode(do { local $/; <STDIN> });
my $dir   = tempdir(CLEANUP => 1);

my $template = options();
my %kinds = map { $_ => ref $template->{$_} eq 'ARRAY' ? JSON::PP::true : JSON::PP::false } keys %$template;
print $json->encode({
    version => $Net::Server::VERSION,
    kinds   => \%kinds,
    results => [map { configured($_) } @$cases],
}), "\n";

sub options {
    my $server = bless {server => {}}, 'Configured';
    return $server->options;
}

sub bytes {
    my @list = @_;
    utf8::downgrade($_) for @list;
    return @list;
}

sub configured {
    my $case = shift;
    my $conf = "$dir/server.conf";
    local @ARGV = bytes(@{ $case->{argv} || [] });
    my @run  = bytes(@{ $case->{run} || [] });
    my %prop = (_run_args => \@run);
    if (defined $case->{file}) {
        open my $fh, '>:raw', $conf or die "$conf: $!";
        print $fh bytes($case->{file});
        close $fh or die "$conf: $!";
        $prop{conf_file} = $conf;
    }
    $prop{conf_file} = $conf = $case->{path} if defined $case->{path};
    my $server = bless {server => \%prop}, 'Configured';
    my %result;
    local $SIG{__WARN__} = sub { };    # it warns of a file that is missing, and goes on
    if (!eval { $server->configure; 1 }) {
        ($result{died} = "$@") =~ s/ at \S+ line \d+\.?\n.*//s;
        return \%result;
    }
    for my $key (keys %kinds) {
        my $value = $prop{$key};
        next if !defined $value || $key eq 'conf_file' && $value eq $conf;
        next if ref $value eq 'ARRAY' && !@$value;
        $result{keys}{$key} = ref $value ? [map { "$_" } @$value] : "$value";
    }
    $result{rest} = [@ARGV, @run] if @ARGV || @run;
    return \%result;
}
