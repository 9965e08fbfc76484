package containerd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"

	"paas/dyno"
)

// Images finds the unpacked layers of a slug.
type Images interface {
	// Lower returns the directories that make up the image's root file system,
	// lowest first. They MUST stay as they are while a dyno uses them, and be
	// below one directory under which nothing is mounted: containerd maps the
	// ids of all of them by mapping those of their common parent. A slug whose
	// bytes are not what its digest names is a *dyno.ImageError.
	Lower(ctx context.Context, image string) ([]string, error)
}

// Options is what a Runtime needs. Two Runtimes run side by side on one host
// when their DataDir, RunDir, Bridge and Subnet differ.
type Options struct {
	// DataDir is kept over reboots. dynos/ and containerd/ are made below it.
	DataDir string
	// RunDir is for sockets, mounts and address reservations; it may be wiped
	// by a reboot. Its parents MUST be searchable by everybody (o+x), because
	// the root file systems below it are entered from user namespaces; what is
	// in it is protected one by one.
	RunDir string
	// EngineDir has containerd, containerd-shim-runc-v2, runc and tini-static.
	EngineDir string
	// CNIDir has the CNI plugins bridge and host-local.
	CNIDir string

	// Address is the socket of a foreign containerd; "" = run our own.
	Address string
	// Namespace inside that containerd; "" = "paas".
	Namespace string

	Bridge string       // network interface to create, at most 15 characters
	Subnet netip.Prefix // private IPv4 range of the dynos, /28 or larger
	// HostPorts are TCP ports of the host that dynos may open, e.g. the
	// router's, so that apps reach each other by their public names.
	HostPorts []uint16
	// Reachable are private destinations (RFC 1918 and the like) that dynos may
	// reach although only the default route leads there.
	Reachable []netip.Prefix

	// CABundle is a PEM file that takes the place of
	// /etc/ssl/certs/ca-certificates.crt in sandboxes; "" = the stack's own.
	CABundle string

	Images Images
	Logs   dyno.LogSink
	Log    *slog.Logger
}

var bridgeName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,14}$`)

// maxRunDir keeps socket paths within the 108 bytes of sockaddr_un.
const maxRunDir = 64

func (o *Options) complete() error {
	if o.Namespace == "" {
		o.Namespace = "paas"
	}
	for _, d := range []*string{&o.DataDir, &o.RunDir, &o.EngineDir, &o.CNIDir} {
		if !filepath.IsAbs(*d) {
			return fmt.Errorf("cannot use directory %q: it must be an absolute path", *d)
		}
		*d = filepath.Clean(*d)
		if strings.ContainsAny(*d, overlaySpecial) {
			return fmt.Errorf("cannot use directory %q: overlay mounts do not take any of %q", *d, overlaySpecial)
		}
	}
	switch {
	case len(o.RunDir) > maxRunDir:
		return fmt.Errorf("cannot use runtime directory %q: longer than %d characters, sockets would not fit", o.RunDir, maxRunDir)
	case !bridgeName.MatchString(o.Bridge):
		return fmt.Errorf("cannot use bridge name %q: want a letter, then letters, digits and dashes, 15 characters at most", o.Bridge)
	case !o.Subnet.Addr().Is4() || o.Subnet.Bits() > 28 || o.Subnet.Bits() < 16:
		return fmt.Errorf("cannot use subnet %s: want an IPv4 range between /16 and /28", o.Subnet)
	case o.Images == nil || o.Logs == nil || o.Log == nil:
		return fmt.Errorf("cannot make a runtime without Images, Logs and Log")
	}
	o.Subnet = o.Subnet.Masked()
	for i, p := range o.Reachable {
		if !p.IsValid() || !p.Addr().Is4() {
			return fmt.Errorf("cannot make %s reachable: want an IPv4 range", p)
		}
		o.Reachable[i] = p.Masked()
	}
	return nil
}

// instance tells apart what several paas instances make in places that the
// whole host shares: cgroups and nftables.
func (o *Options) instance() string {
	sum := sha256.Sum256([]byte(o.RunDir))
	return "paas-" + hex.EncodeToString(sum[:4])
}

func (o *Options) dynosDir() string { return filepath.Join(o.DataDir, "dynos") }

func (o *Options) dynoDir(id string) string { return filepath.Join(o.dynosDir(), id) }

// gateway is the bridge's own address: the first of the subnet.
func (o *Options) gateway() netip.Addr { return o.Subnet.Addr().Next() }
