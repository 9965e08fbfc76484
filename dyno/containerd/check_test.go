package containerd

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paas/dyno/dynotest"
)

func TestCheck(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	if err := h.Check(h.ctx()); err != nil {
		t.Fatal(err)
	}
	closed := t.TempDir() // 0700
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	addr := hostNetwork(t)
	bad := h.o
	bad.EngineDir, bad.CNIDir = t.TempDir(), t.TempDir()
	bad.RunDir = "/tmp/" + filepath.Base(closed)
	if err := os.Mkdir(bad.RunDir, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(bad.RunDir)
	bad.RunDir += "/run"
	bad.Subnet = addr
	r, err := New(bad)
	if err != nil {
		t.Fatal(err)
	}
	err = r.Check(h.ctx())
	if err == nil {
		t.Fatal("nothing is found to be missing")
	}
	for _, want := range []string{
		"cannot find CNI plugin bridge in " + bad.CNIDir, "plugin host-local", "program containerd in", "runc", "tini-static",
		filepath.Dir(bad.RunDir) + " is closed to others (mode 0700)", "cannot use subnet " + addr.String(),
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said in %q", want, err)
		}
	}
}

// hostNetwork is a range that the host uses already.
func hostNetwork(t *testing.T) netip.Prefix {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() && p.Bits() >= 16 && p.Bits() <= 28 {
			return p.Masked()
		}
	}
	t.Fatal("the host has no network")
	return netip.Prefix{}
}

func TestOptions(t *testing.T) {
	good := newHost(t, dynotest.NewSink()).o
	tests := []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"relative directory", func(o *Options) { o.DataDir = "data" }, "must be an absolute path"},
		{"comma", func(o *Options) { o.DataDir = "/var/lib/a,b" }, "overlay mounts"},
		{"long runtime directory", func(o *Options) { o.RunDir = "/" + strings.Repeat("r", maxRunDir) }, "sockets would not fit"},
		{"bridge", func(o *Options) { o.Bridge = `x" drop` }, "bridge name"},
		{"long bridge", func(o *Options) { o.Bridge = "abcdefghijklmnop" }, "bridge name"},
		{"IPv6", func(o *Options) { o.Subnet = netip.MustParsePrefix("fd00::/24") }, "IPv4 range"},
		{"tiny subnet", func(o *Options) { o.Subnet = netip.MustParsePrefix("10.0.0.0/30") }, "IPv4 range"},
		{"reachable", func(o *Options) { o.Reachable = []netip.Prefix{netip.MustParsePrefix("fd00::/24")} }, "cannot make fd00::/24 reachable"},
		{"no images", func(o *Options) { o.Images = nil }, "without Images"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := good
			test.change(&o)
			if _, err := New(o); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New: %v, want %q", err, test.want)
			}
		})
	}
}

func TestResolvConf(t *testing.T) {
	dir := t.TempDir()
	stub, real := filepath.Join(dir, "stub"), filepath.Join(dir, "real")
	write(t, stub, "# stub\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch example.com\n")
	write(t, real, "nameserver 10.1.2.3\nnameserver fe80::1\nnameserver  10.1.2.3\nnameserver 8.8.4.4\nnameserver\nsearch lan\n; end\n")
	if r := findResolvers([]string{stub, real}); r.text != "nameserver 10.1.2.3\nnameserver 10.1.2.3\nnameserver 8.8.4.4\nsearch lan\n" || len(r.servers) != 2 {
		t.Errorf("behind the stub: %+v", r)
	}
	if r := findResolvers([]string{real, stub}); len(r.servers) != 2 {
		t.Errorf("without a stub: %+v", r)
	}
	if r := findResolvers([]string{stub, filepath.Join(dir, "none")}); r.text != "options edns0 trust-ad\nsearch example.com\n" || r.servers != nil {
		t.Errorf("stub alone: %+v", r)
	}
}

func FuzzResolvConf(f *testing.F) {
	f.Add([]byte("nameserver 1.2.3.4\nsearch a b\n"))
	f.Add([]byte("nameserver\n\x00nameserver 127.0.0.1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := parseResolvConf(b)
		again := parseResolvConf([]byte(r.text))
		if !again.equal(r) {
			t.Errorf("%q is read as %+v, and that as %+v", b, r, again)
		}
		for _, a := range r.servers {
			if !a.Is4() || a.IsLoopback() {
				t.Errorf("%v is no server for a dyno", a)
			}
		}
	})
}

func TestHostname(t *testing.T) {
	for _, test := range []struct{ app, name, want string }{
		{"myapp", "web.1", "myapp-web-1"},
		{"a", "my_worker.12", "a-my-worker-12"},
		{"app", strings.Repeat("x", 63) + ".1", "app-" + strings.Repeat("x", 59)},
		{"app", "odd_.1", "app-odd--1"},
	} {
		s := newSpec("")
		s.AppName, s.Name = test.app, test.name
		if got := hostname(s); got != test.want {
			t.Errorf("hostname of %s %s = %q, want %q", test.app, test.name, got, test.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	s := newSpec("true")
	s.Env["PATH"], s.Env["HOME"], s.Env["LANG"] = "/mine", "/root", "de_DE.UTF-8"
	b := dynoBox(s, firstRange, "/d", nil)
	got := strings.Join(b.env, " ")
	if want := "DYNO=web.1 LANG=de_DE.UTF-8 PATH=/mine PORT=5000 HOME=/app PWD=/app"; got != want {
		t.Errorf("environment %q, want %q", got, want)
	}
}

func TestIDRanges(t *testing.T) {
	r := newIDRanges("x")
	seen := map[uint32]bool{}
	for range rangeCount {
		base, err := r.take()
		if err != nil || seen[base] || base < firstRange || base%idsPerRange != 0 || base > 0x7FFD_0000 {
			t.Fatalf("take = %#x, %v", base, err)
		}
		seen[base] = true
	}
	if _, err := r.take(); err == nil {
		t.Error("more ranges than there are")
	}
	r.release(firstRange)
	if base, err := r.take(); err != nil || base != firstRange {
		t.Errorf("take = %#x, %v", base, err)
	}
}
