package containerd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/google/uuid"

	"paas/dyno/dynotest"
)

// BenchmarkStart is a warm start of a dyno, what Runtime.Start takes, next to
// what the plain client needs to create and start a container with containerd's
// default spec on the same engine: no user namespace, no mapped layers, no
// network, no output. The two take turns, so that both see the same machine;
// their medians are reported. The target is a ratio of at most 1.5.
func BenchmarkStart(b *testing.B) {
	h := newHost(b, dynotest.NewSink())
	h.output("true") // network and engine are up
	bare := newBare(b, h)
	var starts, bares, deletes []time.Duration
	for b.Loop() {
		s := newSpec("exec sleep infinity")
		began := time.Now()
		h.begin(s)
		starts = append(starts, time.Since(began))
		began = time.Now()
		h.remove(s.ID)
		deletes = append(deletes, time.Since(began))
		bares = append(bares, bare())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(starts), "start-ms")
	b.ReportMetric(median(deletes), "delete-ms")
	b.ReportMetric(median(bares), "bare-ms")
	b.ReportMetric(median(starts)/median(bares), "ratio")
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Microseconds()) / 1000
}

func newBare(b *testing.B, h *host) func() time.Duration {
	cl, err := h.Runtime.client(h.ctx())
	if err != nil {
		b.Fatal(err)
	}
	ctx := namespaces.WithNamespace(b.Context(), "bare")
	return func() time.Duration {
		id := uuid.NewString()
		dir := b.TempDir()
		for _, d := range []string{"work", "upper"} {
			if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
				b.Fatal(err)
			}
		}
		began := time.Now()
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
		took := time.Since(began)
		if _, err := task.Delete(ctx, client.WithProcessKill); err != nil {
			b.Fatal(err)
		}
		if err := ctr.Delete(ctx); err != nil {
			b.Fatal(err)
		}
		return took
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
