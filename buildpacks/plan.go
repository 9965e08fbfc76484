package buildpacks

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Plan tells the runner what to do. All paths are the container's.
type Plan struct {
	RequestID string `json:"request_id"`
	Stack     string `json:"stack"`  // STACK: "heroku-22"
	Commit    string `json:"commit"` // SOURCE_VERSION; "" for a tarball

	Home     string `json:"home"` // HOME: "/app", empty and writable, never BuildDir
	BuildDir string `json:"build_dir"`
	CacheDir string `json:"cache_dir"`
	EnvDir   string `json:"env_dir"`
	Result   string `json:"result"` // the file to write the Result to

	// Packs are run all, in order; or, with Detect, the first one that detects.
	Packs  []Pack `json:"packs"`
	Detect bool   `json:"detect"`
	// Detected is what bin/detect of the only pack said in an earlier run,
	// which ended with NeedsLayers; "" = ask it.
	Detected string `json:"detected,omitempty"`

	Layers []string `json:"layers"` // stack layers in place, beside run and build
	// Env is the operator's build environment.
	Env map[string]string `json:"env"`
}

// Pack is one installed buildpack.
type Pack struct {
	Name   string   `json:"name"`
	Dir    string   `json:"dir"`
	Layers []string `json:"layers,omitempty"`
}

// maxPlan bounds a plan's file; an operator's environment is its largest part.
const maxPlan = 1 << 20

func readPlan(path string) (Plan, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Plan{}, fmt.Errorf("cannot read plan: %w", err)
	}
	var p Plan
	if len(b) > maxPlan {
		return Plan{}, errors.New("cannot read plan: too large")
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return Plan{}, fmt.Errorf("cannot read plan: %w", err)
	}
	for _, dir := range []string{p.Home, p.BuildDir, p.CacheDir, p.EnvDir, p.Result} {
		if !filepath.IsAbs(dir) {
			return Plan{}, fmt.Errorf("cannot use plan: %q is not an absolute path", dir)
		}
	}
	if len(p.Packs) == 0 {
		return Plan{}, errors.New("cannot use plan: it has no buildpacks")
	}
	return p, nil
}

// Write stores a plan for the runner to read.
func (p Plan) Write(path string) error {
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("cannot write plan: %w", err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		return fmt.Errorf("cannot write plan: %w", err)
	}
	return nil
}
