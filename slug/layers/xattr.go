package layers

import (
	"archive/tar"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	paxXattr      = "SCHILY.xattr."
	overlayPrefix = "trusted.overlay."
	opaqueXattr   = overlayPrefix + "opaque"
	// maxXattr bounds one list or value; the kernel's own limit is the same.
	maxXattr = 64 << 10
)

// keptXattr says which extended attributes are part of a layer: capabilities
// (ping), ACLs and what programs stored themselves. Others (SELinux labels,
// IMA) belong to the host.
func keptXattr(name string) bool {
	return strings.HasPrefix(name, "user.") || name == "security.capability" || strings.HasPrefix(name, "system.posix_acl_")
}

// xattrs puts what a layer keeps into h. overlay's notes about the directory
// being an upper one are removed from the tree: they mean nothing, or the
// wrong thing, in a lower directory.
func (p *packer) xattrs(fd int, h *tar.Header) (opaque bool, err error) {
	kept, overlay, err := readXattrs(fd)
	if err != nil {
		return false, fmt.Errorf("cannot pack %q: %w", h.Name, err)
	}
	for _, name := range overlay {
		switch name {
		case opaqueXattr:
			value, err := getXattr(fd, name)
			if err != nil {
				return false, fmt.Errorf("cannot pack %q: %w", h.Name, err)
			}
			if opaque = string(value) == "y"; opaque {
				continue
			}
		case overlayPrefix + "redirect", overlayPrefix + "metacopy":
			return false, &EntryError{Path: h.Name, Why: "its content is elsewhere (" + name + "); mount overlays with redirect_dir=off,metacopy=off"}
		}
		if err := unix.Fremovexattr(fd, name); err != nil {
			return false, fmt.Errorf("cannot remove %s of %q: %w", name, h.Name, err)
		}
	}
	for name, value := range kept {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[paxXattr+name] = value
	}
	return opaque, nil
}

// readXattrs returns what a layer keeps of an open file, and the names of
// overlay's own attributes.
func readXattrs(fd int) (kept map[string]string, overlay []string, err error) {
	var buf [1024]byte
	list := buf[:]
	n, err := unix.Flistxattr(fd, list)
	if errors.Is(err, unix.ERANGE) {
		list = make([]byte, maxXattr)
		n, err = unix.Flistxattr(fd, list)
	}
	if errors.Is(err, unix.ENOTSUP) || n == 0 && err == nil {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot list extended attributes: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		switch {
		case strings.HasPrefix(name, overlayPrefix):
			overlay = append(overlay, name)
		case keptXattr(name) && !strings.Contains(name, "="): // PAX cannot hold "="
			value, err := getXattr(fd, name)
			if err != nil {
				return nil, nil, err
			}
			if kept == nil {
				kept = map[string]string{}
			}
			kept[name] = string(value)
		}
	}
	return kept, overlay, nil
}

func getXattr(fd int, name string) ([]byte, error) {
	value := make([]byte, maxXattr)
	n, err := unix.Fgetxattr(fd, name, value)
	if err != nil {
		return nil, fmt.Errorf("cannot read extended attribute %q: %w", name, err)
	}
	return value[:n], nil
}

func writeXattrs(fd int, kept map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		if err := unix.Fsetxattr(fd, name, []byte(kept[name]), 0); err != nil {
			return fmt.Errorf("cannot set extended attribute %q: %w", name, err)
		}
	}
	return nil
}
