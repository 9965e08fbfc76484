package containerd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The engine's places. Its state directory must be searchable by others,
// because the root file systems in it are entered from user namespaces;
// containerd closes everything else in it itself.
func (o *Options) engineRoot() string   { return filepath.Join(o.DataDir, "containerd", "root") }
func (o *Options) engineConfig() string { return filepath.Join(o.DataDir, "containerd", "config.toml") }
func (o *Options) engineLog() string    { return filepath.Join(o.DataDir, "containerd", "containerd.log") }
func (o *Options) engineRun() string    { return filepath.Join(o.RunDir, "containerd") }
func (o *Options) engineState() string  { return filepath.Join(o.engineRun(), "state") }
func (o *Options) engineSocket() string { return filepath.Join(o.engineRun(), "containerd.sock") }
func (o *Options) engineTemp() string   { return filepath.Join(o.engineRun(), "tmp") }
func (o *Options) runcRoot() string     { return filepath.Join(o.engineRun(), "runc") }

// socket is where the engine answers, ours or a foreign one.
func (o *Options) socket() string {
	if o.Address != "" {
		return o.Address
	}
	return o.engineSocket()
}

// unneeded are the parts of containerd that we do not use: images, snapshots,
// and everything that would wake it while nothing happens. (One snapshotter has
// to be there; the native one does nothing by itself.)
var unneeded = []string{
	"io.containerd.cri.v1.images",
	"io.containerd.cri.v1.runtime",
	"io.containerd.differ.v1.erofs",
	"io.containerd.grpc.v1.cri",
	"io.containerd.grpc.v1.transfer",
	"io.containerd.grpc.v1.sandboxes",
	"io.containerd.grpc.v1.sandbox-controllers",
	"io.containerd.grpc.v1.streaming",
	"io.containerd.http.v1.pprof",
	"io.containerd.image-verifier.v1.bindir",
	"io.containerd.internal.v1.opt",
	"io.containerd.internal.v1.tracing",
	"io.containerd.metrics.v1.grpc-otel",
	"io.containerd.metrics.v1.grpc-prometheus",
	"io.containerd.monitor.container.v1.restart",
	"io.containerd.monitor.task.v1.cgroups",
	"io.containerd.mount-handler.v1.erofs",
	"io.containerd.nri.v1.nri",
	"io.containerd.server.v1.debug",
	"io.containerd.server.v1.grpc-tcp",
	"io.containerd.server.v1.metrics",
	"io.containerd.snapshotter.v1.blockfile",
	"io.containerd.snapshotter.v1.btrfs",
	"io.containerd.snapshotter.v1.devmapper",
	"io.containerd.snapshotter.v1.erofs",
	"io.containerd.snapshotter.v1.overlayfs",
	"io.containerd.snapshotter.v1.zfs",
	"io.containerd.streaming.v1.manager",
	"io.containerd.tracing.processor.v1.otlp",
	"io.containerd.transfer.v1.local",
	"io.containerd.ttrpc.v1.otelttrpc",
}

// engineConfigText is the engine's configuration.
func (o *Options) engineConfigText() []byte {
	var b bytes.Buffer
	b.WriteString("# Written by paasd when it starts its container engine; changes are lost.\n")
	b.WriteString("version = 4\nimports = []\n")
	fmt.Fprintf(&b, "root = %s\nstate = %s\n", toml(o.engineRoot()), toml(o.engineState()))
	b.WriteString("disabled_plugins = [\n")
	for _, p := range unneeded {
		fmt.Fprintf(&b, "  %s,\n", toml(p))
	}
	b.WriteString("]\nrequired_plugins = [\"io.containerd.grpc.v1.containers\", \"io.containerd.grpc.v1.tasks\"]\n\n[debug]\nlevel = \"error\"\n")
	fmt.Fprintf(&b, "\n[plugins.\"io.containerd.server.v1.grpc\"]\naddress = %s\n", toml(o.engineSocket()))
	fmt.Fprintf(&b, "\n[plugins.\"io.containerd.server.v1.ttrpc\"]\naddress = %s\n", toml(o.engineSocket()+".ttrpc"))
	fmt.Fprintf(&b, "\n[plugins.\"io.containerd.shim.v1.manager\"]\nsocket_dir = %s\n", toml(filepath.Join(o.engineRun(), "s")))
	// For runc, which is too short-lived to collect garbage; the shim sets its own.
	b.WriteString("env = [\"GOGC=off\"]\n")
	// Nothing in its database outlives a power failure in meaning.
	b.WriteString("\n[plugins.\"io.containerd.metadata.v1.bolt\"]\nno_sync = true\n")
	return b.Bytes()
}

// engineCurrent says whether the running engine is the one that start would
// start: after an upgrade its program or its configuration is another. (Dynos
// are not disturbed by its restart.)
func (o *Options) engineCurrent(pid int) bool {
	want, err := filepath.EvalSymlinks(filepath.Join(o.EngineDir, "containerd"))
	if err != nil {
		return true // there is no other to start
	}
	exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	if err != nil || exe != want { // "... (deleted)" if the file was replaced
		return false
	}
	text, err := os.ReadFile(o.engineConfig())
	return err == nil && bytes.Equal(text, o.engineConfigText())
}

// writeEngineConfig makes the engine's directories, which may have been wiped,
// and its configuration.
func (o *Options) writeEngineConfig() error {
	for _, d := range []struct {
		path string
		mode os.FileMode
	}{
		{filepath.Join(o.DataDir, "containerd"), 0o700},
		{o.engineRoot(), 0o700},
		{o.RunDir, 0o711},
		{o.engineRun(), 0o711},
		{o.engineState(), 0o711},
		{o.engineTemp(), 0o700},
	} {
		if err := os.MkdirAll(d.path, d.mode); err != nil {
			return fmt.Errorf("cannot make the engine's directories: %w", err)
		}
		if err := os.Chmod(d.path, d.mode); err != nil { // whatever umask or an older one say
			return fmt.Errorf("cannot make the engine's directories: %w", err)
		}
	}
	tmp := o.engineConfig() + ".new"
	if err := os.WriteFile(tmp, o.engineConfigText(), 0o600); err != nil {
		return fmt.Errorf("cannot write the engine's configuration: %w", err)
	}
	if err := os.Rename(tmp, o.engineConfig()); err != nil {
		return fmt.Errorf("cannot write the engine's configuration: %w", err)
	}
	return nil
}

// toml quotes a string: a basic string of TOML is escaped as a string of JSON.
func toml(s string) string {
	r := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\r", `\r`)
	return `"` + r.Replace(s) + `"`
}
