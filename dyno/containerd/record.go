package containerd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"paas/dyno"
)

// kind tells what a record is of.
type kind string

const (
	kindDyno     kind = "dyno"
	kindAttached kind = "attached" // its streams die with paasd, and so does it
	kindSandbox  kind = "sandbox"  // likewise
)

// record is what is known about one container; it is kept in
// <data>/dynos/<id>/spec.json, readable by root alone because Spec.Env is in it.
// It is written when the container is begun, when it has started and when it
// has ended.
type record struct {
	Kind kind
	ID   string
	Spec dyno.Spec // of dynos
	// IDs is the first host id of its user namespace.
	IDs uint32
	// Addr is its address once it has one, Veth the host's end of its link.
	Addr netip.Addr `json:",omitzero"`
	Veth string     `json:",omitempty"`
	// Started is zero until the dyno's process runs. Init and Shim are then
	// its first process and the containerd shim that holds it.
	Started    time.Time `json:",omitzero"`
	Init, Shim processID
	Exit       *exitRecord `json:",omitempty"`
}

// processID names a process for longer than its number does.
type processID struct {
	PID   int
	Start string // in clock ticks since boot
	Boot  string // boot id
}

type exitRecord struct {
	Status int
	At     time.Time
	Error  string `json:",omitempty"`
}

func (e exitRecord) exit() dyno.Exit {
	x := dyno.Exit{Status: e.Status, At: e.At}
	if e.Error != "" {
		x.Err = errors.New(e.Error)
	}
	return x
}

func (r record) handle() dyno.Handle {
	h := dyno.Handle{ID: r.ID, PID: r.Init.PID}
	if r.Addr.IsValid() {
		h.Addr = netip.AddrPortFrom(r.Addr, uint16(r.Spec.Port))
	}
	return h
}

// containerID is what names a container in paths, cgroups and containerd. It
// is checked although the ids are made by us, because a path is made of it.
var containerID = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9-]{0,71}$`)

const recordFile = "spec.json"

// save replaces the record in one step. It is not fsynced: what it tells of
// does not survive a power failure either.
func (r *record) save(dir string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("cannot encode record of %s: %w", r.ID, err)
	}
	tmp := filepath.Join(dir, recordFile+".new")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return fmt.Errorf("cannot save record of %s: %w", r.ID, err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, recordFile)); err != nil {
		return fmt.Errorf("cannot save record of %s: %w", r.ID, err)
	}
	return nil
}

// loadRecords reads all records. Directories whose record cannot be read, the
// trace of a crash, are returned as torn.
func loadRecords(dir string) (found []*record, torn []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read records: %w", err)
	}
	for _, e := range entries {
		r := &record{}
		b, err := os.ReadFile(filepath.Join(dir, e.Name(), recordFile))
		if err == nil {
			err = json.Unmarshal(b, r)
		}
		if err != nil || r.ID != e.Name() || !containerID.MatchString(r.ID) {
			torn = append(torn, e.Name())
			continue
		}
		found = append(found, r)
	}
	return found, torn, nil
}

// bootID is new after each boot of the host.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(b[:len(b)-1])
}

// identify makes a lasting name for a running process.
func identify(pid int) (processID, error) {
	_, start, err := procStat(pid)
	if err != nil {
		return processID{}, fmt.Errorf("cannot identify process %d: %w", pid, err)
	}
	return processID{PID: pid, Start: start, Boot: bootID()}, nil
}

// open opens the process if it still is the one that was identified.
func (id processID) open() (*process, error) {
	if id.PID <= 0 || id.Boot != bootID() {
		return nil, os.ErrProcessDone
	}
	p, err := openProcess(id.PID)
	if err != nil {
		return nil, os.ErrProcessDone
	}
	// Read after opening: what pidfd holds cannot change any more.
	if _, start, err := procStat(id.PID); err != nil || start != id.Start || !p.alive() {
		p.close()
		return nil, os.ErrProcessDone
	}
	return p, nil
}
