package dynotest

import "strings"

// listenProgram answers every connection to $PORT with the dyno's name.
const listenProgram = `use IO::Socket::INET; ` +
	`my $s = IO::Socket::INET->new(LocalAddr => "0.0.0.0", LocalPort => $ENV{PORT}, Listen => 128, ReuseAddr => 1) or die "$@"; ` +
	`$SIG{PIPE} = "IGNORE"; my $body = "$ENV{DYNO}\n"; ` +
	`while (my $c = $s->accept) { while (<$c>) { last if /^\r?\n$/ } ` +
	`print $c "HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body"; close $c }`

// Commands of the suites. Each is a real bash command that Fake understands
// too; so is any other made of the same parts, joined by "; " (see shell.go).
const (
	// Listen answers HTTP on $PORT with the dyno's name until it is ended.
	Listen = `perl -e '` + listenProgram + `'`
	// Forever runs, silently, and never listens.
	Forever = `sleep infinity`
	// Deaf ignores SIGTERM; it says "ready" first.
	Deaf = `trap '' TERM; echo ready; sleep infinity`
	// DeafListen ignores SIGTERM and answers on $PORT.
	DeafListen = `trap '' TERM; ` + Listen
	// Polite says "ready", and "bye" on SIGTERM, and exits with 0.
	Polite = `trap 'echo bye; exit 0' TERM; echo ready; sleep infinity`
	// LongLine prints one line of 25,000 bytes.
	LongLine = `printf '%025000d\n' 7`
)

// Exit is a command that exits with a status at once.
func Exit(status string) string { return "exit " + status }

// After puts a pause of some seconds ("0.2") before a command.
func After(seconds, command string) string {
	return strings.Join([]string{"sleep " + seconds, command}, "; ")
}

// MissingImage is the digest of an image that no runtime has.
const MissingImage = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
