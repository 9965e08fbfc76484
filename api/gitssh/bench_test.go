package gitssh_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkReceive measures what it takes to receive a push, next to stock
// git behind OpenSSH on the same repository. Nothing is built on either side.
//
//	go test -run '^$' -bench Receive -benchtime 9x ./api/gitssh
//
// Each round pushes to both, one after the other, so that what else the
// machine does hits both; the figures are medians over the rounds. CPU is that
// of the server and all its children, by a cgroup of their own. PAAS_BENCH_REPO
// names another repository than the generated one.
func BenchmarkReceive(b *testing.B) {
	repo := os.Getenv("PAAS_BENCH_REPO")
	if repo == "" {
		repo = b.TempDir()
		history(b, repo, 4000, 300, 3000)
	}
	key := newKey(b)
	paas, stock := startServer(b, false), startStock(b, key)
	sides := []side{
		{"paas", meter(b, "paas", paas.cmd.Process.Pid), paas.cmd.Process.Pid, func(string) {}, func(app string) string {
			return "ssh://git@" + paas.addr + "/" + app + ".git"
		}},
		{"stock", meter(b, "stock", stock.cmd.Process.Pid), stock.cmd.Process.Pid, stock.create, func(app string) string {
			return "ssh://root@" + stock.addr + stock.path(app)
		}},
	}
	work := filepath.Join(b.TempDir(), "w")
	gitTo(b, b.TempDir(), key, "clone", "-q", repo, work)
	branch := strings.TrimSpace(gitTo(b, work, key, "rev-parse", "--abbrev-ref", "HEAD"))
	round := 0
	b.Run("first", func(b *testing.B) {
		compare(b, sides, func(s side, i int) {
			gitTo(b, work, key, "push", "-q", s.url(fmt.Sprintf("first%d", round*1000+i)), branch+":refs/heads/main")
		}, func(i int) {
			for _, s := range sides {
				s.create(fmt.Sprintf("first%d", round*1000+i))
			}
		})
		round++
	})
	for _, s := range sides {
		s.create("next")
		gitTo(b, work, key, "push", "-q", s.url("next"), branch+":refs/heads/main")
	}
	b.Run("next", func(b *testing.B) {
		compare(b, sides, func(s side, i int) {
			gitTo(b, work, key, "push", "-q", s.url("next"), branch+":refs/heads/main")
		}, func(i int) {
			name := filepath.Join(work, "changed.txt")
			if err := os.WriteFile(name, []byte(fmt.Sprint(time.Now())), 0o644); err != nil {
				b.Fatal(err)
			}
			gitTo(b, work, key, "add", name)
			gitTo(b, work, key, "commit", "-q", "-m", "change")
		})
	})
}

// side is one of the two servers.
type side struct {
	name   string
	cpu    func() time.Duration
	pid    int
	create func(app string)
	url    func(app string) string
}

// compare runs b.N rounds and reports medians and their ratios.
func compare(b *testing.B, sides []side, push func(side, int), prepare func(int)) {
	wall, cpu := map[string][]float64{}, map[string][]float64{}
	memory := map[string]int64{}
	for i := range b.N {
		b.StopTimer()
		prepare(i)
		order := slices.Clone(sides)
		if i%2 == 1 {
			slices.Reverse(order)
		}
		b.StartTimer()
		for _, s := range order {
			stop, spent, begun := peak(s.pid, residentMemory), s.cpu(), time.Now()
			push(s, i)
			wall[s.name] = append(wall[s.name], float64(time.Since(begun).Microseconds())/1000)
			// What the server does after its answer counts as well.
			settle(s.cpu)
			cpu[s.name] = append(cpu[s.name], float64((s.cpu()-spent).Microseconds())/1000)
			memory[s.name] = max(memory[s.name], stop())
		}
	}
	for _, s := range sides {
		b.ReportMetric(median(wall[s.name]), s.name+"-ms")
		b.ReportMetric(median(cpu[s.name]), s.name+"-cpu-ms")
		b.ReportMetric(float64(memory[s.name])/mib, s.name+"-MiB")
	}
	b.ReportMetric(median(wall["paas"])/median(wall["stock"]), "wall-ratio")
	b.ReportMetric(median(cpu["paas"])/median(cpu["stock"]), "cpu-ratio")
	b.ReportMetric(0, "ns/op")
}

// settle waits until a server has been idle for a moment.
func settle(cpu func() time.Duration) {
	for last := cpu(); ; {
		time.Sleep(30 * time.Millisecond)
		now := cpu()
		if now-last < time.Millisecond {
			return
		}
		last = now
	}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if len(v) == 0 {
		return 0
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// meter puts a process into a cgroup of its own and returns a function that
// reads the CPU time of all that was ever in it.
func meter(b *testing.B, name string, pid int) func() time.Duration {
	b.Helper()
	for _, kind := range []struct{ root, file string }{
		{"/sys/fs/cgroup/cpuacct", "cpuacct.usage"}, // version 1: nanoseconds
		{"/sys/fs/cgroup", "cpu.stat"},              // version 2: "usage_usec N"
	} {
		dir := filepath.Join(kind.root, fmt.Sprintf("paas-bench-%d-%s", os.Getpid(), name))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		b.Cleanup(func() { leaveCgroup(b, dir) })
		if os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0) != nil {
			continue
		}
		read := func() time.Duration {
			content, err := os.ReadFile(filepath.Join(dir, kind.file))
			if err != nil {
				b.Fatal(err)
			}
			f := strings.Fields(strings.TrimPrefix(string(content), "usage_usec "))
			n, err := strconv.ParseInt(f[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			if kind.file == "cpu.stat" {
				return time.Duration(n) * time.Microsecond
			}
			return time.Duration(n)
		}
		return read
	}
	b.Fatal("no cgroup to measure CPU time with (run as root)")
	return nil
}

// leaveCgroup removes a cgroup once the servers, which are stopped by
// clean-ups of their own, are gone.
func leaveCgroup(b *testing.B, dir string) {
	content, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for pid := range strings.FieldsSeq(string(content)) {
		_ = os.WriteFile(filepath.Join(filepath.Dir(dir), "cgroup.procs"), []byte(pid), 0)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		b.Errorf("cannot remove cgroup: %v", err)
	}
}

// stock is OpenSSH with git behind it, as a stranger would set it up, but for
// a home directory whose shell start-up files are empty.
type stock struct {
	cmd  *exec.Cmd
	addr string
	dir  string
}

func startStock(b *testing.B, key string) *stock {
	b.Helper()
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		sshd = "/usr/sbin/sshd"
	}
	dir := b.TempDir()
	hostKey := newKey(b)
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		b.Fatal(err)
	}
	// sshd wants its privilege separation directory.
	if err := errors.Join(os.MkdirAll("/run/sshd", 0o755), os.Mkdir(filepath.Join(dir, "home"), 0o755),
		os.WriteFile(filepath.Join(dir, "keys"), public, 0o600)); err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(addr)
	config := filepath.Join(dir, "sshd_config")
	lines := []string{
		"ListenAddress 127.0.0.1", "Port " + port, "HostKey " + hostKey, "AuthorizedKeysFile " + filepath.Join(dir, "keys"),
		"PidFile none", "StrictModes no", "PermitRootLogin prohibit-password", "UsePAM no", "PrintMotd no", "PrintLastLog no",
		"MaxStartups 100", "LogLevel QUIET", "SetEnv HOME=" + filepath.Join(dir, "home"),
	}
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(sshd, "-D", "-e", "-f", config)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 100 {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_, err = bufio.NewReader(conn).ReadString('\n')
			_ = conn.Close()
			if err == nil {
				break
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return &stock{cmd: cmd, addr: addr, dir: dir}
}

func (s *stock) path(app string) string { return filepath.Join(s.dir, app+".git") }

func (s *stock) create(app string) {
	if err := exec.Command("git", "init", "-q", "--bare", s.path(app)).Run(); err != nil {
		panic(err)
	}
}
