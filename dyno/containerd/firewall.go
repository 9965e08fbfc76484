package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"text/template"

	"github.com/google/nftables"
)

// table is our own nftables table; nothing else is ever put there.
func (n *network) table() string { return strings.ReplaceAll(n.o.instance(), "-", "_") }

// firewallRules is written in one transaction. All values are checked: names by
// Options.complete, the rest are addresses and numbers.
//
// What a dyno must not do is refused rather than dropped, so that it learns at
// once. (For TCP by a reset: over a virtual link an ICMP error is back before
// connect has let go of its socket, and only counts when the packet is repeated.)
// A drop or reject is final whatever other tables say; an accept is not, so a FORWARD
// policy of DROP, as Docker sets, needs openForward as well.
var firewallRules = template.Must(template.New("nft").Parse(`
table inet {{.Table}} {}
delete table inet {{.Table}}
table inet {{.Table}} {
	chain refuse {
		meta l4proto tcp reject with tcp reset
		reject with icmpx type host-unreachable
	}
	chain forward {
		type filter hook forward priority filter - 5; policy accept;
		iifname "{{.Bridge}}" jump from_dyno
		oifname "{{.Bridge}}" ct state established,related accept
		oifname "{{.Bridge}}" drop
	}
	chain from_dyno {
		meta nfproto ipv6 drop
		ip saddr != {{.Subnet}} drop
		oifname "{{.Bridge}}" goto refuse
{{- if .Resolvers}}
		ip daddr { {{.Resolvers}} } udp dport 53 accept
		ip daddr { {{.Resolvers}} } tcp dport 53 accept
{{- end}}
		ip daddr 169.254.0.0/16 goto refuse
		accept
	}
	chain input {
		type filter hook input priority filter - 5; policy accept;
		iifname "{{.Bridge}}" jump to_host
	}
	chain to_host {
		meta nfproto ipv6 drop
		ct state established,related accept
		ip saddr != {{.Subnet}} drop
		ip protocol icmp accept
{{- if .Resolvers}}
		ip daddr { {{.Resolvers}} } udp dport 53 accept
		ip daddr { {{.Resolvers}} } tcp dport 53 accept
{{- end}}
{{- if .Ports}}
		tcp dport { {{.Ports}} } accept
{{- end}}
		goto refuse
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr {{.Subnet}} oifname != "{{.Bridge}}" masquerade
	}
}
`))

func (n *network) firewall(ctx context.Context, dns resolvers) error {
	var ports, servers []string
	for _, p := range n.o.HostPorts {
		ports = append(ports, strconv.Itoa(int(p)))
	}
	for _, a := range dns.servers {
		servers = append(servers, a.String())
	}
	var text bytes.Buffer
	err := firewallRules.Execute(&text, struct {
		Table, Bridge, Ports, Resolvers string
		Subnet                          netip.Prefix
	}{n.table(), n.o.Bridge, strings.Join(ports, ", "), strings.Join(servers, ", "), n.o.Subnet})
	if err != nil {
		return fmt.Errorf("cannot write the firewall rules: %w", err)
	}
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = &text
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot set the firewall: %w: %s", err, bytes.TrimSpace(out))
	}
	return n.openForward(ctx)
}

func (n *network) forwardRules() [][]string {
	return [][]string{
		{"FORWARD", "-i", n.o.Bridge, "-m", "comment", "--comment", n.table(), "-j", "ACCEPT"},
		{"FORWARD", "-o", n.o.Bridge, "-m", "comment", "--comment", n.table(), "-j", "ACCEPT"},
	}
}

// openForward lets our packets through iptables' FORWARD chain where its policy
// drops them. What must not pass has been dropped in our own table before.
func (n *network) openForward(ctx context.Context) error {
	iptables, err := exec.LookPath("iptables")
	if err != nil {
		return nil // then nobody has set such a policy with it
	}
	out, err := exec.CommandContext(ctx, iptables, "-w", "5", "-S", "FORWARD").Output()
	if err != nil || strings.HasPrefix(string(out), "-P FORWARD ACCEPT") {
		return nil
	}
	for _, rule := range n.forwardRules() {
		if exec.CommandContext(ctx, iptables, append([]string{"-w", "5", "-C"}, rule...)...).Run() == nil {
			continue
		}
		if out, err := exec.CommandContext(ctx, iptables, append([]string{"-w", "5", "-I"}, rule...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot open the FORWARD chain for dynos: %w: %s", err, bytes.TrimSpace(out))
		}
	}
	return nil
}

func (n *network) dropFirewall(ctx context.Context) error {
	if iptables, err := exec.LookPath("iptables"); err == nil {
		for _, rule := range n.forwardRules() {
			// Fails when it is not there: it seldom is.
			exec.CommandContext(ctx, iptables, append([]string{"-w", "5", "-D"}, rule...)...).Run()
		}
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("cannot talk to nftables: %w", err)
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("cannot list firewall tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == n.table() {
			c.DelTable(t)
			return errors.Join(c.Flush())
		}
	}
	return nil
}
