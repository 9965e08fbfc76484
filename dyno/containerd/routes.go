package containerd

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// private are the destinations that must not be reached by the default route.
var private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("169.254.0.0/16"),
}

// Priorities of our routing rules, all bound to packets from the bridge.
const (
	ruleResolver = 4100 + iota
	ruleReachable
	ruleSpecific
	ruleBack
	ruleUnreachable
)

const dnsPort = 53

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

// wantedRules are, for packets from the bridge:
//
//	4100  to a resolver of the host, port 53     by any route
//	4101  to Options.Reachable                   by any route
//	4102  to a private range                     by any route but the default
//	4103  to a private range                     back to the bridge, where the
//	                                             firewall rejects it at once
//	4104  to a private range                     unreachable, if there is no 4103
//
// (Routing itself answers an unreachable destination only once a second, and
// never the first time, for which a dyno would wait.)
func (n *network) wantedRules(dns resolvers) []netlink.Rule {
	rule := func(priority int, to netip.Prefix) netlink.Rule {
		r := *netlink.NewRule()
		r.Family, r.Priority, r.IifName, r.Dst = netlink.FAMILY_V4, priority, n.o.Bridge, ipNet(to)
		r.Table = unix.RT_TABLE_MAIN
		return r
	}
	var rules []netlink.Rule
	for _, a := range dns.servers {
		for _, proto := range []int{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
			r := rule(ruleResolver, netip.PrefixFrom(a, 32))
			r.IPProto, r.Dport = proto, netlink.NewRulePortRange(dnsPort, dnsPort)
			rules = append(rules, r)
		}
	}
	for _, p := range n.o.Reachable {
		rules = append(rules, rule(ruleReachable, p))
	}
	for _, p := range private {
		specific, back, none := rule(ruleSpecific, p), rule(ruleBack, p), rule(ruleUnreachable, p)
		specific.SuppressPrefixlen = 0
		back.Table = n.backTable()
		none.Table, none.Type = 0, unix.RTN_UNREACHABLE
		rules = append(rules, specific, back, none)
	}
	return rules
}

// backTable is a routing table of the instance's own.
func (n *network) backTable() int {
	sum := sha256.Sum256([]byte(n.o.instance()))
	return 1<<30 | int(binary.BigEndian.Uint32(sum[:4])>>4)
}

// backRoute fills the table; it goes when the bridge does.
func (n *network) backRoute(bridge netlink.Link) error {
	r := &netlink.Route{LinkIndex: bridge.Attrs().Index, Dst: ipNet(netip.MustParsePrefix("0.0.0.0/0")), Scope: netlink.SCOPE_LINK, Table: n.backTable()}
	if err := netlink.RouteReplace(r); err != nil {
		return fmt.Errorf("cannot set the routes of bridge %s: %w", n.o.Bridge, err)
	}
	return nil
}

// ruleKey says which rules are the same.
func ruleKey(r netlink.Rule) string {
	port := uint16(0)
	if r.Dport != nil {
		port = r.Dport.Start
	}
	return fmt.Sprint(r.Priority, r.Dst, r.IPProto, port, r.SuppressPrefixlen)
}

// rules sets what is wanted before it removes what is not: there is no gap.
func (n *network) rules(dns resolvers) error {
	wanted := n.wantedRules(dns)
	for _, r := range wanted {
		if err := netlink.RuleAdd(&r); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("cannot set routing rule %s: %w", r, err)
		}
	}
	return n.removeRules(func(r netlink.Rule) bool {
		return !slices.ContainsFunc(wanted, func(w netlink.Rule) bool { return ruleKey(w) == ruleKey(r) })
	})
}

func (n *network) dropRules() error {
	return n.removeRules(func(netlink.Rule) bool { return true })
}

func (n *network) removeRules(surplus func(netlink.Rule) bool) error {
	have, err := netlink.RuleList(netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("cannot read routing rules: %w", err)
	}
	for _, r := range have {
		if r.IifName != n.o.Bridge || r.Priority < ruleResolver || r.Priority > ruleUnreachable || !surplus(r) {
			continue
		}
		r.Family = netlink.FAMILY_V4
		if err := netlink.RuleDel(&r); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot remove routing rule %s: %w", r, err)
		}
	}
	return nil
}

// unreachable is met when the bridge, and with it the real route, is missing.
func (n *network) unreachable() *netlink.Route {
	return &netlink.Route{Dst: ipNet(n.o.Subnet), Type: unix.RTN_UNREACHABLE, Priority: 1 << 30, Table: unix.RT_TABLE_MAIN}
}

func (n *network) fallbackRoute() error {
	if err := netlink.RouteReplace(n.unreachable()); err != nil {
		return fmt.Errorf("cannot set the fallback route of %s: %w", n.o.Subnet, err)
	}
	return nil
}

func (n *network) dropFallbackRoute() error {
	if err := netlink.RouteDel(n.unreachable()); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("cannot remove the fallback route of %s: %w", n.o.Subnet, err)
	}
	return nil
}
