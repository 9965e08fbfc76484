#!/usr/bin/perl
# Answers every request with its version, with nothing but what the stack has.
use strict;
use warnings;
use IO::Socket::INET;

my $version = "v1";
my $port    = $ENV{PORT} || 5000;
my $server  = IO::Socket::INET->new(LocalPort => $port, Listen => 64, ReuseAddr => 1)
  or die "cannot listen on port $port: $!\n";
$SIG{TERM} = sub { exit 0 };
$SIG{PIPE} = 'IGNORE';
$| = 1;
print "listening on port $port\n";

while (1) {
    my $client = $server->accept or next;
    while (defined(my $line = <$client>)) {
        last if $line =~ /^\r?\n$/;
    }
    my $body = "Hello from a Procfile, $version\n";
    print $client "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n",
      "Content-Length: ", length($body), "\r\nConnection: close\r\n\r\n", $body;
    close $client;
}
