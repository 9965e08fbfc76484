package runtimes

import (
	"encoding/json"
	"os"
	"time"
)

// Memory remembers which version a range was resolved to, in a file. It saves
// the question while the answer is fresh, and answers for a source that
// cannot be reached.
type Memory struct {
	Path string
	Now  func() time.Time
}

// Fresh is for how long an answer is used without asking again.
const Fresh = time.Hour

type remembered struct {
	Version string    `json:"version"`
	Wide    bool      `json:"wide,omitempty"`
	At      time.Time `json:"at"`
}

func (m *Memory) load() map[string]remembered {
	all := map[string]remembered{}
	if data, err := os.ReadFile(m.Path); err == nil && json.Unmarshal(data, &all) != nil {
		all = map[string]remembered{}
	}
	return all
}

// Recall returns what key was resolved to last, and how long ago that was.
func (m *Memory) Recall(key string) (Resolved, time.Duration, bool) {
	r, ok := m.load()[key]
	return Resolved{Version: r.Version, Wide: r.Wide}, m.Now().Sub(r.At), ok
}

// maxRemembered bounds the file: an app asks for a handful of things.
const maxRemembered = 64

// Remember keeps an answer.
func (m *Memory) Remember(key string, r Resolved) error {
	all := m.load()
	if len(all) >= maxRemembered {
		all = map[string]remembered{}
	}
	all[key] = remembered{Version: r.Version, Wide: r.Wide, At: m.Now().UTC()}
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return replace(m.Path, append(data, '\n'))
}
