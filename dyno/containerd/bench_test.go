package containerd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/google/uuid"

	"paas/dyno/dynotest"
)

// BenchmarkStart is a warm start of a dyno: what Runtime.Start takes.
func BenchmarkStart(b *testing.B) {
	h := newHost(b, dynotest.NewSink())
	h.output("true") // network and engine are up
	for b.Loop() {
		s := newSpec("exec sleep infinity")
		h.begin(s)
		b.StopTimer()
		h.remove(s.ID)
		b.StartTimer()
	}
}

// BenchmarkDelete is the end of a dyno that runs.
func BenchmarkDelete(b *testing.B) {
	h := newHost(b, dynotest.NewSink())
	for b.Loop() {
		b.StopTimer()
		s := newSpec("exec sleep infinity")
		h.begin(s)
		b.StartTimer()
		h.remove(s.ID)
	}
}

// BenchmarkBareContainerd is what the plain client needs to create and start a
// container with containerd's default spec on the same engine: no user
// namespace, no mapped layers, no network, no output.
func BenchmarkBareContainerd(b *testing.B) {
	h := newHost(b, dynotest.NewSink())
	cl, err := h.Runtime.client(h.ctx())
	if err != nil {
		b.Fatal(err)
	}
	ctx := namespaces.WithNamespace(b.Context(), "bare")
	for b.Loop() {
		b.StopTimer()
		id := uuid.NewString()
		dir := b.TempDir()
		for _, d := range []string{"work", "upper"} {
			if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		ctr, err := cl.NewContainer(ctx, id, client.WithRuntime(shimRuntime, nil),
			client.WithNewSpec(oci.WithDefaultPathEnv, oci.WithProcessArgs("sleep", "infinity"), oci.WithRootFSPath("rootfs")))
		if err != nil {
			b.Fatal(err)
		}
		task, err := ctr.NewTask(ctx, cio.NullIO, client.WithRootFS([]mount.Mount{{Type: "overlay", Source: "overlay", Options: []string{
			"workdir=" + filepath.Join(dir, "work"), "upperdir=" + filepath.Join(dir, "upper"), "lowerdir=" + h.images.by["base"][0],
		}}}))
		if err != nil {
			b.Fatal(err)
		}
		if err := task.Start(ctx); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if _, err := task.Delete(ctx, client.WithProcessKill); err != nil {
			b.Fatal(err)
		}
		if err := ctr.Delete(ctx); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkIdleMemory measures what 20 dynos that do nothing cost besides their
// own processes, in proportional set size.
func BenchmarkIdleMemory(b *testing.B) {
	const n = 20
	for b.Loop() {
		h := newHost(b, dynotest.NewSink())
		var shims, inits float64
		for range n {
			h.begin(newSpec("exec sleep infinity"))
		}
		h.mu.Lock()
		for _, c := range h.boxes {
			rec := c.snapshot()
			shims += pss(b, rec.Shim.PID)
			inits += pss(b, rec.Init.PID)
		}
		h.mu.Unlock()
		engine, err := peer(h.ctx(), h.o.engineSocket())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(shims/n, "shim-MB/dyno")
		b.ReportMetric(inits/n, "tini-MB/dyno")
		b.ReportMetric(pss(b, engine.pid), "engine-MB")
		engine.close()
	}
}

// pss reads a process's proportional set size in MB.
func pss(b *testing.B, pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kb float64
		if _, err := fmt.Sscanf(line, "Pss: %f kB", &kb); err == nil {
			return kb / 1024
		}
	}
	b.Fatal("no Pss")
	return 0
}
