package containerd

import (
	"errors"
	"hash/fnv"
	"sync"
)

// Every container's user namespace maps 65536 ids to a range of the host that
// nobody else has. The ranges lie in 0x70000000-0x7FFDFFFF, which neither
// useradd's subordinate ids nor systemd ("Users, Groups, UIDs and GIDs on
// systemd Systems") give to anything.
const (
	idsPerRange = 1 << 16
	firstRange  = 0x7000_0000
	rangeCount  = (0x7FFE_0000 - firstRange) / idsPerRange
)

// idRanges hands out ranges, the longest unused first, so that a file that
// escaped cleaning is not met by the next owner of its range.
type idRanges struct {
	mu   sync.Mutex
	used map[uint32]bool
	next uint32
}

// newIDRanges begins at a place that depends on the instance: several on one
// host seldom meet. (If they do, two containers share host ids, which their
// other namespaces still keep apart.)
func newIDRanges(instance string) *idRanges {
	h := fnv.New32a()
	h.Write([]byte(instance))
	return &idRanges{used: map[uint32]bool{}, next: h.Sum32() % rangeCount}
}

// take returns the first host id of a free range.
func (r *idRanges) take() (uint32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range rangeCount {
		base := firstRange + r.next*idsPerRange
		r.next = (r.next + 1) % rangeCount
		if !r.used[base] {
			r.used[base] = true
			return base, nil
		}
	}
	return 0, errors.New("cannot find a free range of user ids: too many containers")
}

// claim marks the range of a container found at Recover.
func (r *idRanges) claim(base uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used[base] = true
}

func (r *idRanges) release(base uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.used, base)
}
