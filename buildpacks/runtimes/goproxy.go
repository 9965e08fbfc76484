package runtimes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	goruntime "runtime"
	"strings"
	"sync"

	"golang.org/x/mod/module"
)

const (
	goDomain        = "golang.org"
	toolchainModule = goDomain + "/toolchain"

	// publicGoProxy is where the go command asks unless told otherwise.
	publicGoProxy = "https://proxy." + goDomain
	// directToolchains is where "direct" leads for this one module: its
	// go-import tag names a module proxy.
	directToolchains = "https://go.dev/dl/mod"
)

// GoProxy fetches Go toolchains in the way the go command does: from the
// proxies that GOPROXY lists, checked against the database GOSUMDB names.
type GoProxy struct {
	Client *Client
	proxy  []hop
	sums   *sumDB // nil: the operator has turned the check off
	off    string // why nothing may be fetched

	mu   sync.Mutex
	down map[string]error // entries that could not be reached; asked once a build
}

// hop is one entry of GOPROXY. anyError says what sends us on to the next
// entry: any failure ("|"), or only "I do not have it" (",").
type hop struct {
	base     string
	anyError bool
}

// NewGoProxy reads GOPROXY, GOSUMDB, GONOSUMDB and GOPRIVATE from the
// environment. state is a directory for what the checksum database wants
// remembered (its last signed tree, and tiles); it may not exist yet.
func NewGoProxy(getenv func(string) string, state string) (*GoProxy, error) {
	g := &GoProxy{Client: NewClient()}
	g.proxy, g.off = parseGoProxy(getenv("GOPROXY"))
	exempt := getenv("GONOSUMDB")
	if exempt == "" {
		exempt = getenv("GOPRIVATE")
	}
	if module.MatchPrefixPatterns(exempt, toolchainModule) || getenv("GONOSUMCHECK") == "1" {
		return g, nil
	}
	sums, err := newSumDB(getenv("GOSUMDB"), g, state)
	g.sums = sums
	return g, err
}

func parseGoProxy(list string) ([]hop, string) {
	if strings.TrimSpace(list) == "" {
		list = publicGoProxy + ",direct"
	}
	var hops []hop
	for list != "" {
		entry, anyError := list, false
		if i := strings.IndexAny(list, ",|"); i >= 0 {
			entry, anyError, list = list[:i], list[i] == '|', list[i+1:]
		} else {
			list = ""
		}
		switch entry = strings.TrimSpace(entry); entry {
		case "":
			continue
		case "off":
			return hops, "GOPROXY=off"
		case "direct":
			return append(hops, hop{base: directToolchains}), ""
		}
		hops = append(hops, hop{base: strings.TrimRight(entry, "/"), anyError: anyError})
	}
	return hops, ""
}

// Verified tells whether toolchains are checked against a checksum database.
func (g *GoProxy) Verified() bool { return g.sums != nil }

// Sources lists the proxies, for messages.
func (g *GoProxy) Sources() []string {
	var list []string
	for _, h := range g.proxy {
		list = append(list, redact(h.base))
	}
	if len(list) == 0 {
		list = append(list, "no Go module proxy ("+g.off+")")
	}
	return list
}

// get asks the proxies in turn for a path.
func (g *GoProxy) get(ctx context.Context, path string, read func(io.Reader) error) error {
	if len(g.proxy) == 0 {
		return fmt.Errorf("cannot fetch Go: %s", g.off)
	}
	var errs []error
	for _, h := range g.proxy {
		err := g.fromHop(ctx, h, path, read)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil || !h.anyError && !Absent(err) {
			break
		}
	}
	return errors.Join(errs...)
}

func (g *GoProxy) fromHop(ctx context.Context, h hop, path string, read func(io.Reader) error) error {
	if dir, ok := strings.CutPrefix(h.base, "file://"); ok {
		f, err := os.Open(dir + "/" + path)
		if os.IsNotExist(err) {
			return &StatusError{URL: h.base + "/" + path, Code: 404}
		}
		if err != nil {
			return err
		}
		defer f.Close()
		return read(f)
	}
	g.mu.Lock()
	err := g.down[h.base]
	g.mu.Unlock()
	if err != nil {
		return err
	}
	err = g.Client.Get(ctx, h.base+"/"+path, nil, read)
	var unreachable broken
	if errors.As(err, &unreachable) && ctx.Err() == nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.down == nil {
			g.down = map[string]error{}
		}
		g.down[h.base] = err
	}
	return err
}

func platform() string { return "linux-" + goruntime.GOARCH }

func moduleVersion(v string) string { return "v0.0.1-" + v + "." + platform() }

// Versions lists the toolchains ("go1.25.3") that the proxies know of. The
// list is incomplete by nature: a proxy lists what somebody has asked it for.
func (g *GoProxy) Versions(ctx context.Context) ([]string, error) {
	var list []string
	err := g.get(ctx, toolchainModule+"/@v/list", func(body io.Reader) error {
		data, err := bounded(body, 4<<20)
		list = list[:0]
		for _, line := range strings.Fields(string(data)) {
			v, ok := strings.CutPrefix(line, "v0.0.1-")
			if v, fits := strings.CutSuffix(v, "."+platform()); ok && fits && IsGoVersion(v) {
				list = append(list, v)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list the versions of Go: %w", err)
	}
	return list, nil
}

// Has asks whether a toolchain can be had.
func (g *GoProxy) Has(ctx context.Context, version string) (bool, error) {
	err := g.get(ctx, path.Join(toolchainModule, "@v", moduleVersion(version)+".info"), func(body io.Reader) error {
		_, err := bounded(body, 64<<10)
		return err
	})
	if Absent(err) {
		return false, nil
	}
	return err == nil, err
}
