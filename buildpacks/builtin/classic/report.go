package classic

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// The facts a pack records for bin/report live in the cache, because
// bin/report is a process of its own and also runs after a failure.

func (c *Call) reportFile() string {
	return c.Cached("build-data", filepath.Base(c.PackDir)+".json")
}

// Record keeps facts about this build for bin/report; it replaces those of
// the last build.
func (c *Call) Record(facts map[string]string) error {
	data, err := json.MarshalIndent(facts, "", "  ")
	if err != nil {
		return err
	}
	return Write(c.reportFile(), 0o644, string(data)+"\n")
}

func (c *Call) report() (string, error) {
	data, err := os.ReadFile(c.reportFile())
	if os.IsNotExist(err) {
		return "{}", nil
	}
	return strings.TrimSpace(string(data)), err
}
