package containerd

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// network is the bridge that all dynos of the instance are plugged into.
//
// What a dyno can reach:
//
//	other dynos                    no: bridge ports are isolated, and routing
//	                               back into the bridge is dropped
//	the host                       no, but for answers, ping, Options.HostPorts,
//	                               and port 53 of the host's own resolvers
//	169.254.0.0/16 (cloud metadata) no
//	private ranges                 only where the host has a specific route; the
//	                               default route would carry such a packet to
//	                               strangers
//	everything else                yes, masqueraded
//
// and nobody but the host reaches a dyno. The host has to forward packets for
// that: net.ipv4.ip_forward is set to 1 and left so. IPv6 ends at the bridge. While the
// bridge is missing an unreachable route keeps packets for dynos from leaving
// by the default route.
type network struct {
	o   *Options
	cni *libcni.CNIConfig
	cfg *libcni.PluginConfig

	mu      sync.Mutex
	applied bool
	dns     resolvers // as applied
}

const (
	containerInterface = "eth0"
	cniNetwork         = "dynos"
)

func newNetwork(o *Options) (*network, error) {
	cfg, err := json.Marshal(map[string]any{
		"cniVersion": "1.0.0",
		"name":       cniNetwork,
		"type":       "bridge",
		"bridge":     o.Bridge,
		"isGateway":  true,
		"ipMasq":     false, // one rule for all, firewall.go
		"ipam": map[string]any{
			"type":    "host-local",
			"dataDir": o.ipamDir(),
			"ranges":  [][]map[string]any{{{"subnet": o.Subnet.String(), "gateway": o.gateway().String()}}},
			"routes":  []map[string]any{{"dst": "0.0.0.0/0"}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot encode the network's configuration: %w", err)
	}
	parsed, err := libcni.NetworkPluginConfFromBytes(cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot read the network's configuration: %w", err)
	}
	return &network{
		o: o,
		// The executor is given, because libcni makes its own at first use, in a
		// way that is not safe for concurrent first uses.
		cni: libcni.NewCNIConfigWithCacheDir([]string{o.CNIDir}, filepath.Join(o.RunDir, "cni"), &invoke.DefaultExec{RawExec: &invoke.RawExec{}}),
		cfg: parsed,
	}, nil
}

func (o *Options) ipamDir() string { return filepath.Join(o.RunDir, "ipam") }

// ensure sets everything up that containers share, and repairs it if somebody
// took the firewall away (restarting nftables.service flushes all tables) or
// the host's resolvers have changed. It costs 0.2 ms when all is well.
func (n *network) ensure(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	dns := findResolvers(resolvConfs)
	if n.applied && n.dns.equal(dns) && n.intact() {
		return nil
	}
	if err := os.MkdirAll(n.o.RunDir, 0o711); err != nil {
		return fmt.Errorf("cannot make the runtime directory: %w", err)
	}
	if err := dns.write(n.o.resolvConf()); err != nil {
		return err
	}
	// The routes first: there must be no moment at which a packet could take
	// the default route.
	if err := n.fallbackRoute(); err != nil {
		return err
	}
	if err := n.firewall(ctx, dns); err != nil {
		return err
	}
	if err := n.rules(dns); err != nil {
		return err
	}
	if err := n.bridge(); err != nil {
		return err
	}
	for _, s := range []struct{ path, value string }{
		{"/proc/sys/net/ipv4/ip_forward", "1"},
		{"/proc/sys/net/ipv6/conf/" + n.o.Bridge + "/disable_ipv6", "1"},
	} {
		if err := os.WriteFile(s.path, []byte(s.value), 0); err != nil && !(errors.Is(err, fs.ErrNotExist) && strings.Contains(s.path, "ipv6")) {
			return fmt.Errorf("cannot set %s: %w", s.path, err)
		}
	}
	n.applied, n.dns = true, dns
	return nil
}

// intact looks whether what others might remove still is there.
func (n *network) intact() bool {
	if _, err := net.InterfaceByName(n.o.Bridge); err != nil {
		return false
	}
	c, err := nftables.New()
	if err != nil {
		return false
	}
	_, err = c.ListTableOfFamily(n.table(), nftables.TableFamilyINet)
	return err == nil
}

// bridge makes the bridge with the gateway's address. The plugin would, too,
// but the host must be able to rely on its being there, and on its hardware
// address: without one of its own it changes with the ports.
func (n *network) bridge() error {
	name := n.o.Bridge
	link, err := netlink.LinkByName(name)
	if err != nil {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		sum := sha256.Sum256([]byte(name + n.o.instance()))
		attrs.HardwareAddr = append(net.HardwareAddr{0x02}, sum[:5]...)
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("cannot make bridge %s: %w", name, err)
		}
		if link, err = netlink.LinkByName(name); err != nil {
			return fmt.Errorf("cannot find bridge %s: %w", name, err)
		}
	}
	if link.Type() != "bridge" {
		return fmt.Errorf("cannot use %s as bridge: it is a %s", name, link.Type())
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: n.o.gateway().AsSlice(), Mask: net.CIDRMask(n.o.Subnet.Bits(), 32)}}
	have, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("cannot read addresses of bridge %s: %w", name, err)
	}
	found := false
	for _, a := range have {
		if a.IPNet.String() == addr.IPNet.String() {
			found = true
		} else if err := netlink.AddrDel(link, &a); err != nil { // an earlier setting's
			return fmt.Errorf("cannot remove address %s of bridge %s: %w", a.IPNet, name, err)
		}
	}
	if !found {
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("cannot give bridge %s address %s: %w", name, addr.IPNet, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("cannot start bridge %s: %w", name, err)
	}
	return n.backRoute(link)
}

func (n *network) runtimeConf(id, netns string) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: id, NetNS: netns, IfName: containerInterface}
}

// attach plugs a network namespace into the bridge.
func (n *network) attach(ctx context.Context, id, netns string) (addr netip.Addr, veth string, err error) {
	res, err := n.cni.AddNetwork(ctx, n.cfg, n.runtimeConf(id, netns))
	if err != nil {
		return netip.Addr{}, "", fmt.Errorf("cannot attach %s to the network: %w", id, err)
	}
	r, err := current.NewResultFromResult(res)
	if err != nil {
		return netip.Addr{}, "", fmt.Errorf("cannot read the network plugin's answer: %w", err)
	}
	for _, ip := range r.IPs {
		if a, ok := netip.AddrFromSlice(ip.Address.IP); ok && a.Unmap().Is4() {
			addr = a.Unmap()
		}
	}
	for _, i := range r.Interfaces {
		if i.Sandbox == "" && i.Name != n.o.Bridge {
			veth = i.Name
		}
	}
	if !addr.IsValid() || veth == "" {
		return addr, veth, fmt.Errorf("cannot attach %s to the network: the plugin gave no address or interface", id)
	}
	link, err := netlink.LinkByName(veth)
	if err != nil {
		return addr, veth, fmt.Errorf("cannot find interface %s of %s: %w", veth, id, err)
	}
	if err := netlink.LinkSetIsolated(link, true); err != nil {
		return addr, veth, fmt.Errorf("cannot isolate interface %s of %s: %w", veth, id, err)
	}
	return addr, veth, nil
}

// detach removes a container's link and then gives its address back. It is
// called when all its processes are dead; its namespace may be gone.
func (n *network) detach(ctx context.Context, id, veth string, addr netip.Addr) error {
	if veth != "" {
		if link, err := netlink.LinkByName(veth); err == nil {
			if err := netlink.LinkDel(link); err != nil && !errors.As(err, &netlink.LinkNotFoundError{}) {
				if _, still := netlink.LinkByName(veth); still == nil {
					return fmt.Errorf("cannot remove interface %s of %s: %w", veth, id, err)
				}
			}
		}
	}
	if addr.IsValid() {
		// Else the host would look for the next owner at the old place first.
		if br, err := netlink.LinkByName(n.o.Bridge); err == nil {
			netlink.NeighDel(&netlink.Neigh{LinkIndex: br.Attrs().Index, IP: addr.AsSlice()})
		}
	}
	if err := n.cni.DelNetwork(ctx, n.cfg, n.runtimeConf(id, "")); err != nil {
		return fmt.Errorf("cannot release the address of %s: %w", id, err)
	}
	return nil
}

// reserved lists the containers that hold addresses. host-local keeps one file
// per address, whose first line is the container's id.
func (n *network) reserved() (ids []string, err error) {
	dir := filepath.Join(n.o.ipamDir(), cniNetwork)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read address reservations: %w", err)
	}
	for _, e := range entries {
		if _, err := netip.ParseAddr(e.Name()); err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("cannot read address reservations: %w", err)
		}
		id, _, _ := strings.Cut(string(b), "\n")
		if id = strings.TrimSpace(id); !containerID.MatchString(id) {
			os.Remove(filepath.Join(dir, e.Name())) // torn by a crash
			continue
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// teardown takes everything of the network away.
func (n *network) teardown(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.applied = false
	var errs []error
	if link, err := netlink.LinkByName(n.o.Bridge); err == nil {
		// Links whose dyno is gone.
		links, err := netlink.LinkList()
		errs = append(errs, err)
		for _, l := range links {
			if l.Attrs().MasterIndex == link.Attrs().Index {
				netlink.LinkDel(l)
			}
		}
		errs = append(errs, netlink.LinkDel(link))
	}
	errs = append(errs, n.dropRules(), n.dropFallbackRoute(), n.dropFirewall(ctx))
	return errors.Join(errs...)
}
