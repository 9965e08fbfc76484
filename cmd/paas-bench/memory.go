package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const paasdTarget = "≤ 60 MB RSS"

// memory reads what the platform's own processes take before and after some
// apps run. Dynos are not counted.
func (b *bench) memory(ctx context.Context) error {
	before, err := b.api.Apps(ctx, true)
	if err != nil {
		return err
	}
	if err := b.readMemory(ctx, len(before)); err != nil {
		return err
	}
	for i := range b.options.apps {
		a, err := b.newApp(ctx, "procfile", "server.pl")
		if err != nil {
			return err
		}
		if _, err := a.push(ctx, false); err != nil && !errors.Is(err, errNoPhase) {
			return err
		}
		b.say("  app %d of %d runs", i+1, b.options.apps)
	}
	return b.readMemory(ctx, len(before)+b.options.apps)
}

func (b *bench) readMemory(ctx context.Context, apps int) error {
	b.say("  resting %v", b.settle)
	select {
	case <-time.After(b.settle):
	case <-ctx.Done():
		return ctx.Err()
	}
	paasd, err := pidOf(filepath.Join(b.runDir, "paasd.pid"))
	if err != nil {
		return fmt.Errorf("%w (is --run-dir right?)", err)
	}
	socket := filepath.Join(b.runDir, "containerd", "containerd.sock")
	engine, err := listenerOf(socket)
	if err != nil {
		return err
	}
	shims, err := shimsOf(socket)
	if err != nil {
		return err
	}
	for _, p := range []struct {
		name   string
		target string
		pids   []int
	}{{"paasd", paasdTarget, []int{paasd}}, {"containerd", "", []int{engine}}, {fmt.Sprintf("%d shims together", len(shims)), "", shims}} {
		if len(p.pids) == 0 {
			continue
		}
		var sum footprint
		for _, pid := range p.pids {
			f, err := footprintOf(pid)
			if errors.Is(err, os.ErrNotExist) {
				continue // a shim that has just ended
			}
			if err != nil {
				return err
			}
			sum.pss += f.pss
			sum.rss += f.rss
		}
		where := fmt.Sprintf("%s, %d apps on the machine", p.name, apps)
		b.say("  %s: %s PSS, %s RSS", where, megabytes(sum.pss), megabytes(sum.rss))
		b.report.add("memory (PSS), "+where, "").holds(sum.pss)
		b.report.add("memory (RSS), "+where, p.target).holds(sum.rss)
	}
	return nil
}

func pidOf(file string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// listenerOf asks the kernel whose socket it is.
func listenerOf(socket string) (int, error) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return 0, fmt.Errorf("cannot find the container engine: %w", err)
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return int(cred.Pid), nil
}

// shimsOf lists the shims of that engine: they carry its address.
func shimsOf(socket string) ([]int, error) {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil || !isShim(string(text), socket) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

func isShim(cmdline, socket string) bool {
	args := strings.Split(strings.TrimRight(cmdline, "\x00"), "\x00")
	if !strings.HasPrefix(filepath.Base(args[0]), "containerd-shim") {
		return false
	}
	for i, a := range args[:len(args)-1] {
		if a == "-address" && args[i+1] == socket {
			return true
		}
	}
	return false
}

// footprint is what a process takes of memory, in bytes.
type footprint struct{ pss, rss int64 }

func footprintOf(pid int) (footprint, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if errors.Is(err, os.ErrPermission) {
		return footprint{}, fmt.Errorf("cannot read the memory of process %d: run it as root", pid)
	}
	if errors.Is(err, unix.ESRCH) {
		err = os.ErrNotExist
	}
	if err != nil {
		return footprint{}, err
	}
	return parseSmaps(string(text))
}

func parseSmaps(text string) (footprint, error) {
	found := map[string]int64{}
	for l := range strings.Lines(text) {
		f := strings.Fields(l)
		if len(f) == 3 && f[2] == "kB" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return footprint{}, fmt.Errorf("cannot read memory: %w", err)
			}
			found[f[0]] = n << 10
		}
	}
	if found["Rss:"] == 0 || found["Pss:"] == 0 {
		return footprint{}, errors.New("cannot read memory: no Rss and Pss")
	}
	return footprint{pss: found["Pss:"], rss: found["Rss:"]}, nil
}
