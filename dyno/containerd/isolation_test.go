package containerd

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"paas/dyno"
	"paas/dyno/dynotest"
)

func TestInside(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	tests := []struct{ name, command, want string }{
		{"user", "id -u; id -g; id -G", "1000\n1000\n1000"},
		{"capabilities", "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status", strings.Join([]string{
			"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
			"CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"}, "\n")},
		{"mapped ids", "read a b c < /proc/self/uid_map; echo $a $c; test $b -ge 1879048192 && echo ok", "0 65536\nok"},
		{"no mount", "mount -t tmpfs x /tmp 2>/dev/null; echo $?", "32"},
		{"no namespaces", "unshare -U true 2>/dev/null; echo $?", "1"},
		{"masked", "head -c 1 /proc/timer_list; head -c 1 /proc/keys; echo done", "done"},
		{"read-only proc", "(echo 1 > /proc/sys/net/ipv4/ip_forward) 2>/dev/null; echo $?", "1"},
		{"read-only sys", "touch /sys/x 2>/dev/null; echo $?", "1"},
		{"read-only root", "touch /etc/x 2>/dev/null; touch /bin/x 2>/dev/null; touch /x 2>/dev/null; echo $?", "1"},
		{"writable", "touch /app/a /tmp/a /dev/shm/a && mkdir /app/d && stat -c '%a %u %n' /app /tmp /dev/shm", "755 1000 /app\n1777 0 /tmp\n1777 0 /dev/shm"},
		{"owners", "stat -c %u /bin/bash /app", "0\n1000"},
		{"memory limit", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; (echo 1 > /sys/fs/cgroup/memory.max) 2>/dev/null || echo fixed", "536870912\n536870912\nfixed"},
		{"limits", "ulimit -n; ulimit -u; ulimit -c", "10000\n256\n0"},
		{"environment", `echo "$HOME|$PWD|$PATH|$LANG|$PORT|$DYNO"; pwd`, "/app|/app|" + systemPath + "|C.UTF-8|5000|web.1\n/app"},
		{"host name", "hostname; getent hosts $(hostname) | head -1", "myapp-web-1\n127.0.0.1       localhost myapp-web-1"},
		{"first process", "cat /proc/1/comm", "tini"},
		{"devices", "echo x > /dev/null; head -c 4 /dev/urandom | { IFS= read -r -d '' x; echo ok; }; ls /dev", "ok\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero"},
		{"output by name", "echo out > /dev/stdout; echo err > /dev/stderr", "out\nerr"},
		{"no arguments", `echo "$# $0"`, "0 bash"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := h.output(test.command); got != test.want {
				t.Errorf("%s\n got: %q\nwant: %q", test.command, got, test.want)
			}
		})
	}
}

func TestProfileScripts(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	dir := filepath.Join(h.app, "app", ".profile.d")
	for name, text := range map[string]string{
		"B.sh":      "export TRACE=$TRACE:B; declare -x WHERE=$PWD; set -- clobbered",
		"a.sh":      "export TRACE=$TRACE:a; return 3",
		"_.sh":      "export TRACE=$TRACE:_:$#:${LC_ALL-unset}; f=x; secret=1",
		"no.txt":    "export TRACE=$TRACE:txt",
		"with s.sh": "export TRACE=$TRACE:space; export PATH=/app/bin:$PATH",
	} {
		write(t, filepath.Join(dir, name), text+"\n")
	}
	write(t, filepath.Join(h.app, "app", ".profile"), "export TRACE=$TRACE:profile\n")
	chown(t, filepath.Join(h.app, "app"))
	got := h.output(`echo "$TRACE $WHERE ${secret-unset} ${__paas_command-unset} ${PATH%%:*} $#"; echo "$1"`)
	if want := ":B:_:0:unset:a:space:profile /app unset unset /app/bin 0\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// connect is a command that says whether an address answers.
func connect(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	return fmt.Sprintf("timeout 1 bash -c 'read -r x < /dev/tcp/%s/%s && echo \"$x\"' 2>/dev/null || echo no", host, port)
}

// greet answers each connection with the address it comes from.
func greet(t *testing.T, l net.Listener) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			from, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			fmt.Fprintln(c, "hello", from)
			c.Close()
		}
	}()
}

func listen(t *testing.T, addr string) string {
	t.Helper()
	l, err := net.Listen("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	greet(t, l)
	return l.Addr().String()
}

// inNetns runs f in a named network namespace.
func inNetns(t *testing.T, name string, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with us
		ns, err := netns.GetFromName(name)
		if err == nil {
			err = netns.Set(ns)
		}
		if err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

// outside makes a network namespace beside the host, with a link to it, and
// listens there.
func outside(t *testing.T, name, hostAddr, nsAddr string, routes ...string) (listener string, dial func(string) error) {
	t.Helper()
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %q: %v: %s", args, err, out)
		}
	}
	ip("netns", "add", name)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
	t.Cleanup(func() { exec.Command("ip", "link", "del", name).Run() })
	ip("addr", "add", hostAddr+"/30", "dev", name)
	ip("link", "set", name, "up")
	ip("-n", name, "addr", "add", nsAddr+"/30", "dev", "eth0")
	ip("-n", name, "link", "set", "eth0", "up")
	for _, r := range routes {
		ip("-n", name, "route", "add", r, "via", hostAddr)
	}
	inside := func(f func()) { inNetns(t, name, f) }
	inside(func() {
		l, err := net.Listen("tcp4", nsAddr+":0")
		if err != nil {
			t.Error(err)
			return
		}
		greet(t, l)
		listener = l.Addr().String()
	})
	return listener, func(addr string) (err error) {
		inside(func() {
			var c net.Conn
			if c, err = net.DialTimeout("tcp4", addr, 500*time.Millisecond); err == nil {
				c.Close()
			}
		})
		return err
	}
}

func TestNetwork(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	gateway := h.o.gateway().String()
	h.stop()
	everywhere := listen(t, "0.0.0.0:0")
	_, port, _ := net.SplitHostPort(everywhere)
	allowed := listen(t, "0.0.0.0:0")
	_, allowedPort, _ := net.SplitHostPort(allowed)
	var p int
	fmt.Sscan(allowedPort, &p)
	h.o.HostPorts = []uint16{uint16(p)}
	h.start()

	other := newSpec(dynotest.Listen)
	oh := h.begin(other)
	waitListening(t, oh.Addr.String())

	third := h.o.Subnet.Addr().As4()[2]
	hostSide, nsSide := fmt.Sprintf("10.214.%d.1", third), fmt.Sprintf("10.214.%d.2", third)
	ext, dial := outside(t, "paasx"+fmt.Sprint(third), hostSide, nsSide, h.o.Subnet.String())

	s := newSpec(strings.Join([]string{
		connect(gateway + ":" + port),        // the host
		connect("192.0.2.2:" + port),         // the host by another of its addresses, if it has it
		connect("127.0.0.1:" + port),         // its own loopback
		connect(gateway + ":" + allowedPort), // what it may reach
		connect(oh.Addr.String()),            // another app
		connect(ext),                         // a neighbour of the host, by a specific route
		"exec 2>&1; (: < /dev/tcp/169.254.169.254/80); (: < /dev/tcp/10.255.1.1/80); (: < /dev/tcp/100.64.1.1/80)",
		"(: < /dev/tcp/" + gateway + "/" + port + ")",
		"echo end; sleep infinity",
	}, "; "))
	mine := h.begin(s)
	h.line(s.ID, "end")
	lines := h.sink().Lines(s.ID)
	want := []string{"no", "no", "no", "hello " + mine.Addr.Addr().String(), "no", "hello " + hostSide}
	if len(lines) < 6 || fmt.Sprint(lines[:6]) != fmt.Sprint(want) {
		t.Errorf("the dyno sees\n%q, want\n%q", lines, want)
	}
	text := strings.Join(lines, "\n")
	for _, addr := range []string{"169.254.169.254/80", "10.255.1.1/80", "100.64.1.1/80", gateway + "/" + port} {
		if !strings.Contains(text, "/dev/tcp/"+addr+": Connection refused") {
			t.Errorf("%s is not refused at once: %q", addr, lines)
		}
	}
	// The host reaches it, a neighbour of the host does not.
	if err := dial(oh.Addr.String()); err == nil {
		t.Error("a dyno can be reached from outside")
	}
	waitListening(t, oh.Addr.String())

	// Somebody flushes the firewall: the next start puts it back.
	if out, err := exec.Command("nft", "delete", "table", "inet", h.net.table()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := h.output(connect(gateway + ":" + port)); got != "no" {
		t.Errorf("after the firewall was flushed the dyno sees %q", got)
	}
	// Without the bridge packets for dynos do not leave by the default route.
	out, err := exec.Command("ip", "route", "get", "from", gateway, mine.Addr.Addr().String()).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte(h.o.Bridge)) {
		t.Errorf("route to a dyno: %s", out)
	}
	exec.Command("ip", "link", "set", h.o.Bridge, "down").Run()
	out, err = exec.Command("ip", "route", "get", mine.Addr.Addr().String()).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("No route to host")) {
		t.Errorf("route to a dyno without a bridge: %s", out)
	}
}

// A FORWARD policy of DROP, as Docker sets it, is opened for dynos only.
func TestForwardPolicy(t *testing.T) {
	name := fmt.Sprint("paas-fw-", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	n := &network{o: &Options{RunDir: "/run/fw", Bridge: "paasfw0", Subnet: netip.MustParsePrefix("10.9.0.0/24"), HostPorts: []uint16{80, 443}}}
	dns := resolvers{servers: []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("10.1.2.4")}}
	inNetns(t, name, func() {
		forward := func() string {
			out, err := exec.Command("iptables", "-S", "FORWARD").CombinedOutput()
			if err != nil {
				t.Errorf("iptables: %v: %s", err, out)
			}
			return string(out)
		}
		if err := n.firewall(t.Context(), dns); err != nil {
			t.Error(err)
		}
		if got := forward(); got != "-P FORWARD ACCEPT\n" {
			t.Errorf("an open chain was changed: %s", got)
		}
		if out, err := exec.Command("iptables", "-P", "FORWARD", "DROP").CombinedOutput(); err != nil {
			t.Errorf("iptables: %v: %s", err, out)
		}
		for range 2 {
			if err := n.firewall(t.Context(), dns); err != nil {
				t.Error(err)
			}
			if got := forward(); strings.Count(got, " -i paasfw0 ") != 1 || strings.Count(got, " -o paasfw0 ") != 1 {
				t.Errorf("the chain is %s", got)
			}
		}
		if err := n.dropFirewall(t.Context()); err != nil {
			t.Error(err)
		}
		if got := forward(); got != "-P FORWARD DROP\n" {
			t.Errorf("left behind: %s", got)
		}
		if out, err := exec.Command("nft", "list", "tables").Output(); err != nil || strings.Contains(string(out), n.table()) {
			t.Errorf("left behind: %s (%v)", out, err)
		}
	})
}

func waitListening(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n")
			io.Copy(io.Discard, c)
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// Each process gets SIGTERM exactly once, and PID 1 none to pass on.
func TestSignalReachesEveryProcessOnce(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	child := func(i int) string {
		return fmt.Sprintf("(trap 'echo got%d' TERM; echo up%d; while :; do sleep 0.05 & wait $!; done) & ", i, i)
	}
	s := newSpec(child(1) + child(2) + child(3) + "trap 'echo got0' TERM; echo up0; while :; do wait; done")
	h.begin(s)
	for i := range 4 {
		h.line(s.ID, fmt.Sprint("up", i))
	}
	h.kill(s.ID, dyno.SIGTERM)
	for i := range 4 {
		h.line(s.ID, fmt.Sprint("got", i))
	}
	time.Sleep(200 * time.Millisecond) // a second one would be seen by now
	h.kill(s.ID, dyno.SIGKILL)
	if e := h.end(s.ID); e.Status != 137 || e.Err != nil {
		t.Errorf("it ended with %+v", e)
	}
	got := map[string]int{}
	for _, l := range h.sink().Lines(s.ID) {
		got[l]++
	}
	for i := range 4 {
		if n := got[fmt.Sprint("got", i)]; n != 1 {
			t.Errorf("process %d got SIGTERM %d times", i, n)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	s := newSpec("echo start; exec perl -e '$x = \"a\" x (600 * 1024 * 1024); print length($x), \"\\n\"'")
	h.begin(s)
	if e := h.end(s.ID); e.Status != 137 || e.Err != nil {
		t.Errorf("it ended with %+v, printed %q", e, h.sink().Lines(s.ID))
	}
}

// An address has one owner from Start to the end of Delete.
func TestAddresses(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	h.stop()
	h.o.Subnet = netip28(h.o.Subnet)
	h.start()
	owners := map[string]string{}
	var last string
	for range 13 { // 16 less network, gateway, broadcast
		s := newSpec("exit 0")
		a := h.begin(s).Addr.String()
		if owners[a] != "" {
			t.Fatalf("%s has two owners", a)
		}
		owners[a], last = s.ID, a
		h.end(s.ID)
	}
	if _, err := h.Start(h.ctx(), newSpec("exit 0"), nil); err == nil || !strings.Contains(err.Error(), "no IP addresses available") {
		t.Fatalf("Start without a free address: %v", err)
	}
	h.remove(owners[last])
	h.nothing(owners[last])
	if a := h.begin(newSpec("exit 0")).Addr.String(); a != last {
		t.Errorf("got %s, want %s, the only one that is free", a, last)
	}
}
