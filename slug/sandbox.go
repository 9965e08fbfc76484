package slug

import (
	"context"
	"io"
)

// Sandbox runs one command in a throw-away, unprivileged, resource-limited
// container. dyno/containerd implements it. It may be called concurrently.
type Sandbox interface {
	// Run returns when the command and everything it started ended. When ctx
	// ends all of it is killed and ctx's cause returned. err is nil whatever
	// the command's status.
	Run(ctx context.Context, s SandboxSpec) (SandboxExit, error)
}

// SandboxSpec is one command and its surroundings.
type SandboxSpec struct {
	ID    string   // uuid
	Lower []string // directories of the root file system, lowest first, read-only
	// Mounts are directories of the host; uid 1000 owns what is in them on
	// both sides (idmapped).
	Mounts []SandboxMount
	Argv   []string
	Env    []string // complete
	Dir    string
	Memory int64 // bytes, hard limit
	CPUs   int64 // cgroup v1 cpu.shares (v2 weight is derived)
	Pids   int64
	// Output gets stdout and stderr in the order they were written.
	Output io.Writer
}

// SandboxMount is a bind mount.
type SandboxMount struct {
	Source, Target string
	ReadOnly       bool
}

// SandboxExit is how a command ended.
type SandboxExit struct {
	Status int  // as a shell reports it
	OOM    bool // it was killed for its memory
}
