package supervisor

import (
	"fmt"
	"time"

	"paas/api"
)

// event is a line for an app's log.
type event struct {
	appID string
	line  api.LogLine
}

// say puts a line about a dyno in the app's log, once s.mu, which is held, is
// unlocked by unlock.
func (s *Supervisor) say(i *instance, format string, args ...any) {
	s.pending = append(s.pending, event{i.spec.AppID, api.LogLine{
		Time: time.Now().UTC(), Source: api.SourcePlatform, Proc: i.spec.Name, Message: fmt.Sprintf(format, args...),
	}})
}

// tell is say for those who do not hold s.mu.
func (s *Supervisor) tell(i *instance, format string, args ...any) {
	s.lock()
	s.say(i, format, args...)
	s.unlock()
}

// flush hands over what was said. The log is written to outside s.mu: a slow
// disk must not keep the router from learning what runs.
func (s *Supervisor) flush() {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	s.mu.Lock()
	events := s.pending
	s.pending = nil
	s.mu.Unlock()
	for _, e := range events {
		s.o.Log(e.appID, e.line)
	}
}
