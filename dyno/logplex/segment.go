package logplex

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// segment is one file of a stream.
type segment struct {
	seq   int64 // its name; files are numbered in order
	first int64 // id of its first line, or of the next one if it has none
	size  int64 // of what is valid; grows for the newest only. Guarded by stream.mu
}

// magic begins every segment file.
const magic = "paaslog1"

const segmentSuffix = ".log"

func segmentPath(dir string, seq int64) string {
	return filepath.Join(dir, fmt.Sprintf("%012d%s", seq, segmentSuffix))
}

// contents is what can be learned from a stream's directory.
type contents struct {
	segments []*segment // oldest first
	next     int64      // id of the next line
	offsets  map[string]int64
}

// idGap is what ids jump by after damage: lines may have been read that are
// lost now, and an id must not mean two lines.
const idGap = 1 << 20

// load reads a stream's directory, which need not exist. What was cut short is
// cut off.
func load(dir string) (contents, error) {
	c := contents{next: 1, offsets: map[string]int64{}}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("cannot read log: %w", err)
	}
	var numbers []int64
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		seq, err := strconv.ParseInt(digits, 10, 64)
		if ok && err == nil {
			numbers = append(numbers, seq)
		}
	}
	slices.Sort(numbers)
	// The newest first: only its offsets are of interest.
	for n := len(numbers) - 1; n >= 0; n-- {
		s := &segment{seq: numbers[n]}
		newest := len(c.segments) == 0
		next, offsets, torn, err := s.load(dir, newest)
		switch {
		case errors.Is(err, errDamaged):
			// Not even its first record is there.
			if err := os.Remove(segmentPath(dir, s.seq)); err != nil {
				return c, fmt.Errorf("cannot remove damaged log: %w", err)
			}
			c.next = idGap
			continue
		case err != nil:
			return c, fmt.Errorf("cannot read log: %w", err)
		case newest:
			c.offsets = offsets
			if torn || c.next > 1 {
				next += idGap
			}
			c.next = next
		}
		c.segments = append(c.segments, s)
	}
	slices.Reverse(c.segments)
	return c, nil
}

// load finds out what is in a segment: all of it for the newest, else its first
// line and size.
func (s *segment) load(dir string, newest bool) (next int64, offsets map[string]int64, torn bool, err error) {
	path := segmentPath(dir, s.seq)
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, false, err
	}
	if !strings.HasPrefix(string(b[:min(len(b), len(magic))]), magic) {
		return 0, nil, false, errDamaged
	}
	s.size = int64(len(magic))
	offsets = map[string]int64{}
	for begin := true; s.size < int64(len(b)); begin = false {
		r, _, err := readRecord(b[s.size:])
		if err != nil {
			torn = true
			break
		}
		if begin {
			s.first = r.first
			if !newest {
				s.size = int64(len(b))
				return 0, nil, false, nil
			}
		}
		s.size += int64(r.size)
		next = r.first + r.count
		applyOffsets(offsets, r.offsets)
	}
	if next == 0 {
		return 0, nil, false, errDamaged
	}
	if torn {
		if err := os.Truncate(path, s.size); err != nil {
			return 0, nil, false, err
		}
	}
	return next, offsets, torn, nil
}

func applyOffsets(m map[string]int64, list []offset) {
	for _, o := range list {
		if o.at == forgotten {
			delete(m, o.dyno)
		} else {
			m[o.dyno] = o.at
		}
	}
}
