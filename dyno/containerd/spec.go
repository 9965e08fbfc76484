package containerd

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"paas/dyno"
	"paas/slug"
)

// limits bound what a container may use.
type limits struct {
	memory    int64
	cpuShares int64
	cpus      float64
	pids      int64
	files     uint64 // 0 = as the host has it
}

// box is what the specs of dynos and sandboxes differ in.
type box struct {
	id       string
	ids      uint32
	dir      string // <data>/dynos/<id>
	args     []string
	env      []string
	cwd      string
	hostname string
	terminal bool
	limits   limits
	mounts   []specs.Mount // besides those that all have
	ns       *nsPair
}

// systemPath is PATH where neither config vars nor a profile script say
// otherwise.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// dynoBox says how a dyno runs.
func dynoBox(s dyno.Spec, ids uint32, dir string, streams *dyno.Streams) box {
	terminal := streams != nil && streams.TTY
	env := []string{"PATH=" + systemPath, "LANG=C.UTF-8"}
	if terminal {
		env = append(env, "TERM=xterm")
	}
	for _, name := range s.Env.Names() {
		env = setenv(env, name, s.Env[name])
	}
	// These three are the platform's whatever the config vars say.
	env = setenv(setenv(env, "HOME", "/app"), "PWD", "/app")
	return box{
		id: s.ID, ids: ids, dir: dir,
		args: entry(s.Command, streams == nil || streams.Stderr == nil && !terminal), env: env, cwd: "/app",
		hostname: hostname(s), terminal: terminal,
		limits: limits{memory: s.Size.Memory, cpuShares: s.Size.CPUShares, cpus: s.Size.CPUs, pids: s.Size.Pids, files: s.Size.Files},
	}
}

func setenv(env []string, name, value string) []string {
	env = slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
	return append(env, name+"="+value)
}

// hostname is the dyno's name in the alphabet of host names.
func hostname(s dyno.Spec) string {
	h := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, s.AppName+"-"+s.Name)
	return strings.Trim(h[:min(len(h), 63)], "-")
}

// sandboxBox says how a sandbox runs. Its mounts are idmapped like the layers:
// what the host's uid 1000 owns is uid 1000's inside.
func (o *Options) sandboxBox(s slug.SandboxSpec, ids uint32, dir string) box {
	b := box{
		id: s.ID, ids: ids, dir: dir,
		args: sandboxEntry(s.Argv), env: s.Env, cwd: s.Dir, hostname: "build",
		limits: limits{memory: s.Memory, cpuShares: s.CPUs, pids: s.Pids},
	}
	for _, m := range s.Mounts {
		options := []string{"rbind", "nosuid", "nodev", "rw"}
		if m.ReadOnly {
			options[3] = "ro"
		}
		b.mounts = append(b.mounts, specs.Mount{
			Type: "bind", Source: m.Source, Destination: m.Target,
			Options: options, UIDMappings: idMapping(ids), GIDMappings: idMapping(ids),
		})
	}
	if o.CABundle != "" {
		b.mounts = append(b.mounts, bindFile(o.CABundle, "/etc/ssl/certs/ca-certificates.crt"))
	}
	return b
}

func bindFile(source, target string) specs.Mount {
	return specs.Mount{Type: "bind", Source: source, Destination: target, Options: []string{"bind", "ro", "nosuid", "nodev"}}
}

func idMapping(ids uint32) []specs.LinuxIDMapping {
	return []specs.LinuxIDMapping{{ContainerID: 0, HostID: ids, Size: idsPerRange}}
}

// cpuPeriod is the window of the hard CPU limit, in microseconds.
const cpuPeriod = uint64(100_000)

// spec writes the OCI runtime spec.
func (r *Runtime) spec(ctx context.Context, b box) (*specs.Spec, error) {
	for _, v := range slices.Concat(b.args, b.env) {
		if strings.ContainsRune(v, 0) {
			name, _, _ := strings.Cut(v, "=")
			return nil, fmt.Errorf("cannot start %s: NUL byte in its command or environment (%.40q)", b.id, name)
		}
	}
	// containerd's defaults give the lists that grow with new kernels (masked
	// and read-only paths, devices); everything that matters is set here.
	s, err := oci.GenerateSpec(namespaces.WithNamespace(ctx, r.o.Namespace), nil, &containers.Container{ID: b.id})
	if err != nil {
		return nil, fmt.Errorf("cannot make the spec of %s: %w", b.id, err)
	}
	limitDir, err := limitFiles(r.o.RunDir, b.limits.memory)
	if err != nil {
		return nil, err
	}
	s.Hostname = b.hostname
	s.Root = &specs.Root{Path: "rootfs"}
	s.Process = &specs.Process{
		Args: b.args, Env: b.env, Cwd: b.cwd, Terminal: b.terminal,
		User:            specs.User{UID: containerUser, GID: containerUser},
		Capabilities:    &specs.LinuxCapabilities{},
		NoNewPrivileges: true,
		Rlimits:         rlimits(b.limits),
	}
	s.Mounts = []specs.Mount{
		{Type: "proc", Source: "proc", Destination: "/proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Type: "tmpfs", Source: "tmpfs", Destination: "/dev", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Type: "devpts", Source: "devpts", Destination: "/dev/pts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Type: "tmpfs", Source: "shm", Destination: "/dev/shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", fmt.Sprintf("size=%d", b.limits.memory/2)}},
		{Type: "mqueue", Source: "mqueue", Destination: "/dev/mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Type: "sysfs", Source: "sysfs", Destination: "/sys", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Type: "bind", Source: limitDir, Destination: "/sys/fs/cgroup", Options: []string{"bind", "ro", "nosuid", "nodev", "noexec"}},
		bindFile(filepath.Join(r.o.EngineDir, "tini-static"), initPath),
		bindFile(r.o.resolvConf(), "/etc/resolv.conf"),
		bindFile(filepath.Join(b.dir, "hosts"), "/etc/hosts"),
	}
	s.Mounts = append(s.Mounts, b.mounts...)
	l := s.Linux
	l.UIDMappings, l.GIDMappings = idMapping(b.ids), idMapping(b.ids)
	l.Namespaces = []specs.LinuxNamespace{
		{Type: specs.UserNamespace, Path: b.ns.user()}, {Type: specs.NetworkNamespace, Path: b.ns.net()},
		{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace},
		{Type: specs.MountNamespace}, {Type: specs.CgroupNamespace},
	}
	l.CgroupsPath = r.cg.path(b.id)
	l.Resources.Memory = &specs.LinuxMemory{Limit: &b.limits.memory}
	if r.cg.swap {
		l.Resources.Memory.Swap = &b.limits.memory // memory and swap together: no swap
	}
	if b.limits.pids > 0 {
		l.Resources.Pids = &specs.LinuxPids{Limit: &b.limits.pids}
	}
	shares := uint64(max(b.limits.cpuShares, 2))
	l.Resources.CPU = &specs.LinuxCPU{Shares: &shares}
	if b.limits.cpus > 0 {
		quota, period := int64(b.limits.cpus*float64(cpuPeriod)), cpuPeriod
		l.Resources.CPU.Quota, l.Resources.CPU.Period = &quota, &period
	}
	l.Seccomp = seccomp.DefaultProfile(s) // depends on the capabilities: none
	// The other architectures of the processor (i386, x32) triple the time that
	// runc needs to compile the filter, and the stacks have no programs for them.
	l.Seccomp.Architectures = l.Seccomp.Architectures[:min(len(l.Seccomp.Architectures), 1)]
	return s, nil
}

// rlimits never ask for more than the host lets us have: in a container of its
// own, root may lack the right to raise them.
func rlimits(l limits) []specs.POSIXRlimit {
	// A core would fill the disk, or wake a handler of the host.
	out := []specs.POSIXRlimit{{Type: "RLIMIT_CORE"}}
	set := func(name string, resource int, want uint64) {
		var have unix.Rlimit
		if unix.Getrlimit(resource, &have) != nil || want == 0 {
			return
		}
		want = min(want, have.Max)
		out = append(out, specs.POSIXRlimit{Type: name, Hard: want, Soft: want})
	}
	set("RLIMIT_NOFILE", unix.RLIMIT_NOFILE, l.files)
	// Buildpacks read `ulimit -u` to tell the dyno size. It counts per user id
	// of the host, which no other container has.
	set("RLIMIT_NPROC", unix.RLIMIT_NPROC, uint64(max(l.pids, 0)))
	return out
}
