#!/usr/bin/perl
# A server of Net::Server whose every hook, and the methods that it calls at
# fixed points, say when they run: a line "PID NAME" in the file FLOW_LOG.
# FLOW_TYPE is the personality; arguments are keys. Clients from 127.0.0.2 are
# denied. The file must be executable: a HUP runs it again.
use strict;
use warnings;
use Fcntl qw(O_WRONLY O_APPEND O_CREAT);
use Net::Server;

package Flow;

our @ISA;

sub note {
    my $name = shift;
    sysopen(my $fh, $ENV{FLOW_LOG}, main::O_WRONLY | main::O_APPEND | main::O_CREAT) or die "FLOW_LOG: $!";
    syswrite($fh, "$$ $name\n");
}

for my $name (qw(
    configure_hook post_configure_hook post_bind_hook pre_loop_hook can_read_hook pre_accept_hook
    post_accept_hook request_denied_hook post_process_request_hook post_client_connection_hook
    pre_server_close_hook post_child_cleanup_hook restart_open_hook restart_close_hook fatal_hook
    pre_fork_hook child_init_hook child_finish_hook run_n_children_hook idle_loop_hook parent_read_hook
    child_is_talking_hook cleanup_dead_child_hook delete_child_hook other_child_died_hook register_child
    dequeue pre_bind bind post_bind loop allow_deny server_close)) {
    no strict 'refs';
    *{"Flow::$name"} = sub {
        my ($self, @args) = @_;
        note($name);
        my $code = $ISA[0]->can($name) or return;
        return $code->($self, @args);
    };
}

sub allow_deny_hook {
    my $self = shift;
    note('allow_deny_hook');
    return ($self->{server}{peeraddr} || '') ne '127.0.0.2';
}

sub process_request {
    note('process_request');
    my $line = <STDIN>;
    print "said $line" if defined $line;
}

package main;
if (!$ENV{FLOW_TYPE}) {
    print "$Net::Server::VERSION\n";
    exit;
}
if ($ENV{FLOW_TYPE} eq 'Single') {
    @Flow::ISA = ('Net::Server');
} else {
    eval "require Net::Server::$ENV{FLOW_TYPE}; 1" or die $@;
    @Flow::ISA = ("Net::Server::$ENV{FLOW_TYPE}");
}
Flow->run();
