package api

import (
	"slices"
	"strings"
)

// DynoSize is the CPU and memory class of a dyno.
type DynoSize struct {
	Name      string  // Heroku's spelling, e.g. "Standard-1X"
	Memory    int64   // bytes, hard limit
	CPUShares int64   // cgroup v1 cpu.shares; v2 weight is derived from it
	CPUs      float64 // hard limit in cores; 0 = none
	Pids      int64
	Files     uint64 // RLIMIT_NOFILE
}

const mib = 1 << 20

// dynoSizes follows Heroku's table "Dyno Types"; what its hosts can give
// (Performance-L and up) is limited here by the machine, at admission.
var dynoSizes = []DynoSize{
	{Name: "Eco", Memory: 512 * mib, CPUShares: 512, Pids: 256, Files: 10000},
	{Name: "Basic", Memory: 512 * mib, CPUShares: 1024, Pids: 256, Files: 10000},
	{Name: "Standard-1X", Memory: 512 * mib, CPUShares: 1024, Pids: 256, Files: 10000},
	{Name: "Standard-2X", Memory: 1024 * mib, CPUShares: 2048, Pids: 512, Files: 10000},
	{Name: "Performance-M", Memory: 2560 * mib, CPUShares: 4096, Pids: 16384, Files: 10000},
	{Name: "Performance-L", Memory: 14336 * mib, CPUShares: 8192, Pids: 32768, Files: 10000},
}

// DefaultDynoSize is what a process type runs at until ps:type says otherwise.
const DefaultDynoSize = "Standard-1X"

// SizeNamed finds a dyno size, without regard to case.
func SizeNamed(name string) (DynoSize, error) {
	for _, s := range dynoSizes {
		if strings.EqualFold(s.Name, name) {
			return s, nil
		}
	}
	return DynoSize{}, Errorf(InvalidParams, "No such dyno size %q. Sizes: %s.", name, strings.Join(DynoSizeNames(), ", "))
}

// DynoSizes lists all sizes, smallest first.
func DynoSizes() []DynoSize { return slices.Clone(dynoSizes) }

// DynoSizeNames lists the names of all sizes, smallest first.
func DynoSizeNames() []string {
	names := make([]string, len(dynoSizes))
	for i, s := range dynoSizes {
		names[i] = s.Name
	}
	return names
}
