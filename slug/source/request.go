package source

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// request is what a pushing client asks for, before it sends the pack.
type request struct {
	commands []*packp.Command
	shallow  []plumbing.Hash // commits whose parents the client has not got
	caps     *capability.List
}

// Bounds of one request. A client with more refs than that can push them in
// several goes.
const (
	maxCommands = 10_000
	maxShallow  = 100_000
)

// decodeRequest reads up to and including the flush packet, and no byte more.
// An empty request says that there is nothing to do.
//
// packp has a decoder of its own, which takes one shallow line at most, and
// none that ends with a newline, as git's do.
func decodeRequest(r io.Reader) (request, error) {
	req := request{caps: capability.NewList()}
	scan := pktline.NewScanner(r)
	for scan.Scan() {
		line := scan.Bytes()
		if len(line) == 0 {
			return req, nil
		}
		if hash, ok := bytes.CutPrefix(line, []byte("shallow ")); ok {
			if len(req.shallow) == maxShallow {
				return req, errors.New("too many shallow lines")
			}
			h, err := parseHash(bytes.TrimSuffix(hash, []byte("\n")))
			if err != nil {
				return req, fmt.Errorf("malformed shallow line: %w", err)
			}
			req.shallow = append(req.shallow, h)
			continue
		}
		if len(req.commands) == maxCommands {
			return req, fmt.Errorf("too many refs at once (%d at most)", maxCommands)
		}
		if len(req.commands) == 0 {
			command, caps, _ := bytes.Cut(line, []byte{0})
			if err := req.caps.Decode(bytes.TrimSuffix(caps, []byte("\n"))); err != nil {
				return req, fmt.Errorf("malformed capabilities: %w", err)
			}
			line = command
		}
		c, err := parseCommand(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			return req, err
		}
		req.commands = append(req.commands, c)
	}
	if err := scan.Err(); err != nil {
		return req, fmt.Errorf("malformed request: %w", err)
	}
	if len(req.commands) == 0 && len(req.shallow) == 0 {
		return req, io.EOF // the client has left after looking at the refs
	}
	return req, io.ErrUnexpectedEOF
}

const hexLen = 2 * len(plumbing.ZeroHash)

// parseCommand reads "<old> <new> <ref>".
func parseCommand(line []byte) (*packp.Command, error) {
	if len(line) < 2*hexLen+3 || line[hexLen] != ' ' || line[2*hexLen+1] != ' ' {
		return nil, errors.New("malformed command")
	}
	oldHash, err := parseHash(line[:hexLen])
	if err != nil {
		return nil, fmt.Errorf("malformed command: %w", err)
	}
	newHash, err := parseHash(line[hexLen+1 : 2*hexLen+1])
	if err != nil {
		return nil, fmt.Errorf("malformed command: %w", err)
	}
	name := line[2*hexLen+2:]
	if bytes.ContainsAny(name, "\x00\n\r") {
		return nil, errors.New("malformed command: control character in the name of a ref")
	}
	c := &packp.Command{Old: oldHash, New: newHash, Name: plumbing.ReferenceName(name)}
	if c.Action() == packp.Invalid {
		return nil, errors.New("malformed command: neither an old nor a new object")
	}
	return c, nil
}

func parseHash(b []byte) (h plumbing.Hash, err error) {
	if len(b) != hexLen {
		return h, errors.New("an object name has 40 digits")
	}
	_, err = hex.Decode(h[:], b)
	return h, err
}
