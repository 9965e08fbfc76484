package api

import "time"

// DynoState is what `ps` shows. Heroku's five, and Stopping.
type DynoState string

const (
	Starting DynoState = "starting"
	Up       DynoState = "up"
	Idle     DynoState = "idle"
	Crashed  DynoState = "crashed"
	Down     DynoState = "down"
	Stopping DynoState = "stopping"
)

// Dyno is one running container executing one command of one release, as
// users see it.
type Dyno struct {
	ID        string // uuid, new for each start
	AppID     string
	Name      string // "web.1", "run.4821"
	Type      string // "web", "run"
	Release   int    // version
	Command   string
	Size      string
	State     DynoState
	CreatedAt time.Time
	UpdatedAt time.Time // of State
}
