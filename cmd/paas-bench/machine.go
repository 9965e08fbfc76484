package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// machine is what a reader has to know of where figures were measured.
type machine struct {
	date                        string
	cpu, memory, kernel, system string
	cores                       int
	golang, git, ssh            string
	installed                   string // how long install.sh took, the first time
}

// installNotes is where install.sh leaves "took 62.4 s".
const installNotes = "/etc/paas/installed"

func describe(ctx context.Context) machine {
	return machine{
		date: time.Now().UTC().Format("2006-01-02"),
		cpu:  field(read("/proc/cpuinfo"), "model name", ":"), cores: runtime.NumCPU(),
		memory: memoryText(field(read("/proc/meminfo"), "MemTotal", ":")),
		kernel: strings.TrimSpace(read("/proc/sys/kernel/osrelease")),
		system: strings.Trim(field(read("/etc/os-release"), "PRETTY_NAME", "="), `"`),
		golang: strings.TrimPrefix(firstLine(ctx, "go", "version"), "go version "),
		git:    strings.TrimPrefix(firstLine(ctx, "git", "--version"), "git version "),
		ssh:    firstLine(ctx, "ssh", "-V"),

		installed: field(read(installNotes), "took", " "),
	}
}

func (m machine) print(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| machine | |\n|---|---|\n")
	for _, row := range [][2]string{
		{"date", m.date}, {"CPU", fmt.Sprintf("%s, %d cores", m.cpu, m.cores)}, {"memory", m.memory}, {"kernel", m.kernel},
		{"system", m.system}, {"Go", m.golang}, {"git", m.git}, {"ssh", m.ssh},
		{"install.sh took", m.installed},
	} {
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], strings.ReplaceAll(row[1], "|", "\\|"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func read(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return string(text)
}

// field finds "name <separator> value" in text; "unknown" if it is not there.
func field(text, name, separator string) string {
	s := bufio.NewScanner(strings.NewReader(text))
	for s.Scan() {
		key, value, ok := strings.Cut(s.Text(), separator)
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// memoryText turns "8147400 kB" into gigabytes.
func memoryText(s string) string {
	n, err := strconv.ParseInt(strings.TrimSuffix(s, " kB"), 10, 64)
	if err != nil {
		return s
	}
	return fmt.Sprintf("%.1f GB", float64(n)/(1<<20))
}

func firstLine(ctx context.Context, program string, args ...string) string {
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		return "not found"
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return first
}
