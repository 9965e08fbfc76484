package buildpacks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"paas/api"
)

// Result is what the runner found out.
type Result struct {
	// NeedsLayers: nothing was compiled; start again with these stack layers,
	// Used[0] alone and its Detected.
	NeedsLayers []string `json:"needs_layers,omitempty"`
	// Failure is nil after a success and with NeedsLayers.
	Failure *Failure `json:"failure,omitempty"`
	Used    []Used   `json:"used,omitempty"` // the buildpacks that detected, in order
	// Processes are the Procfile's process types, then the default ones.
	Processes []Process         `json:"processes,omitempty"`
	Addons    []string          `json:"addons,omitempty"`
	Config    map[string]string `json:"config,omitempty"` // legacy config_vars
}

// Used is one buildpack that detected.
type Used struct {
	Index    int    `json:"index"`    // in Plan.Packs
	Detected string `json:"detected"` // what bin/detect said: "Node.js"
	Report   string `json:"report,omitempty"`
}

// Process is a process type.
type Process struct {
	Name    string `json:"name"`
	Command string `json:"command"`
}

// Phase is a step of one buildpack.
type Phase string

const (
	PhaseDetect  Phase = "detect"  // a listed buildpack did not detect, or none of the built-in ones
	PhaseCompile Phase = "compile" // bin/compile failed
	PhaseExport  Phase = "export"  // its export script could not be sourced
	PhaseRelease Phase = "release" // bin/release failed or made no sense
	// PhaseProcesses comes after all buildpacks: the Procfile cannot be read.
	PhaseProcesses Phase = "processes"
)

// Failure says why a build did not succeed.
type Failure struct {
	Phase  Phase  `json:"phase"`
	Index  int    `json:"index"` // in Plan.Packs; -1: none of them
	Status int    `json:"status"`
	Reason string `json:"reason,omitempty"` // one line, where the status is not the reason
}

// Bounds of what a runner may claim.
const (
	// MaxResult bounds the file.
	MaxResult     = 4 << 20
	maxProcesses  = 200
	maxCommand    = 64 << 10
	maxReport     = 64 << 10
	maxLine       = 200
	maxAddons     = 50
	maxProcName   = 64
	maxUsed       = 100
	maxLayers     = 20
	maxConfigVars = 500
)

var (
	processName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)
	configName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	layerName   = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,40}$`)
)

// ParseResult reads a Result that any process of the build may have written,
// for a plan with that many packs.
func ParseResult(b []byte, packs int) (Result, error) {
	var r Result
	if len(b) > MaxResult {
		return r, errors.New("cannot read the build's result: too large")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Result{}, fmt.Errorf("cannot read the build's result: %v", err)
	}
	if err := r.check(packs); err != nil {
		return Result{}, fmt.Errorf("cannot use the build's result: %w", err)
	}
	return r, nil
}

func (r *Result) check(packs int) error {
	if len(r.Processes) > maxProcesses || len(r.Addons) > maxAddons || len(r.Used) > maxUsed ||
		len(r.NeedsLayers) > maxLayers || len(r.Config) > maxConfigVars {
		return fmt.Errorf("too many entries (at most %d process types)", maxProcesses)
	}
	if r.Failure != nil {
		if r.Failure.Index < -1 || r.Failure.Index >= packs {
			return errors.New("no such buildpack")
		}
		r.Failure.Reason = oneLine(r.Failure.Reason)
	} else if len(r.Used) == 0 {
		return errors.New("no buildpack was used")
	}
	for i := range r.Used {
		u := &r.Used[i]
		if u.Index < 0 || u.Index >= packs {
			return errors.New("no such buildpack")
		}
		u.Detected = oneLine(u.Detected)
		u.Report = u.Report[:min(len(u.Report), maxReport)]
	}
	seen := map[string]bool{}
	for _, p := range r.Processes {
		switch {
		case !processName.MatchString(p.Name) || len(p.Name) > maxProcName:
			return fmt.Errorf("%.80q is not a name of a process type", p.Name)
		case seen[p.Name]:
			return fmt.Errorf("process type %q is there twice", p.Name)
		case p.Command == "" || len(p.Command) > maxCommand || strings.ContainsRune(p.Command, 0) || !utf8.ValidString(p.Command):
			return fmt.Errorf("process type %q has no usable command", p.Name)
		}
		seen[p.Name] = true
	}
	for i, a := range r.Addons {
		r.Addons[i] = oneLine(a)
	}
	for _, l := range r.NeedsLayers {
		if !layerName.MatchString(l) {
			return fmt.Errorf("%.80q is not a name of a stack layer", l)
		}
	}
	size := 0
	for k, v := range r.Config {
		if !configName.MatchString(k) || strings.ContainsRune(v, 0) || !utf8.ValidString(v) {
			return fmt.Errorf("%.80q is not a config var", k)
		}
		size += len(k) + len(v)
	}
	if size > api.MaxConfigBytes {
		return errors.New("too many bytes of config vars")
	}
	return nil
}

// oneLine makes text from a build fit to be printed in one line.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s[:min(len(s), 4*maxLine)], ""))
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxLine {
		s = string(runes[:maxLine])
	}
	return s
}

// write stores the result in one step.
func (r Result) write(path string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("cannot write result: %w", err)
	}
	draft, err := os.CreateTemp(filepath.Dir(path), ".result-")
	if err != nil {
		return fmt.Errorf("cannot write result: %w", err)
	}
	_, err = draft.Write(b)
	if err := errors.Join(err, draft.Close()); err != nil {
		return fmt.Errorf("cannot write result: %w", err)
	}
	if err := os.Rename(draft.Name(), path); err != nil {
		return fmt.Errorf("cannot write result: %w", err)
	}
	return nil
}
