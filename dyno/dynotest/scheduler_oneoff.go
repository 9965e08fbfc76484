package dynotest

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"paas/api"
	"paas/dyno"
)

func (t *schedulerTest) oneOffOf(command string) dyno.OneOff {
	return dyno.OneOff{AppID: t.app, AppName: "app", Type: "run", Release: *t.release(1), Command: command, Size: t.h.Size}
}

func (t *schedulerTest) run(o dyno.OneOff) api.Dyno {
	t.Helper()
	d, err := t.s.Run(t.ctx, o)
	if err != nil {
		t.Fatal("Run:", err)
	}
	return d
}

func (t *schedulerTest) oneOff() {
	t.up(t.release(1, "web 1 "+Listen))
	d := t.run(t.oneOffOf(After("0.2", "exit 7")))
	var n int
	if _, err := fmt.Sscanf(d.Name, "run.%4d", &n); err != nil || n < 1000 || d.AppID != t.app || d.Type != "run" || d.Release != 1 || d.State != api.Up || d.ID == "" {
		t.Errorf("Run = %+v", d)
	}
	if got, want := describe(t.s.Dynos(t.app)), d.Name+" v1 up, web.1 v1 up"; got != want {
		t.Errorf("Dynos = %s, want %s", got, want)
	}
	for range 2 {
		if e, err := t.s.Wait(t.ctx, d.ID); err != nil || e.Status != 7 {
			t.Errorf("Wait = %d, %v, want 7", e.Status, err)
		}
	}
	t.eventually("web.1 v1 up")
	if _, err := t.s.Wait(t.ctx, uuid.NewString()); api.IDOf(err) != api.NotFound {
		t.Error("Wait for an unknown dyno:", err)
	}
}

func (t *schedulerTest) oneOffAttached() {
	out := newTranscript()
	o := t.oneOffOf(`echo "$DYNO $HEROKU_DYNO_ID $GREETING"; cat`)
	o.Streams = &dyno.Streams{Stdin: strings.NewReader("typed\n"), Stdout: out}
	d := t.run(o)
	if e, err := t.s.Wait(t.ctx, d.ID); err != nil || e.Status != 0 {
		t.Errorf("Wait = %d, %v, want 0", e.Status, err)
	}
	if want := d.Name + " " + d.ID + " hello\ntyped\n"; out.String() != want {
		t.Errorf("it printed %q, want %q", out, want)
	}
}

func (t *schedulerTest) oneOffNames() {
	o := t.oneOffOf(Forever)
	o.ID, o.Name = uuid.NewString(), "run.1234"
	if d := t.run(o); d.Name != o.Name || d.ID != o.ID {
		t.Errorf("Run = %+v", d)
	}
	o.ID = uuid.NewString()
	if _, err := t.s.Run(t.ctx, o); api.IDOf(err) != api.Conflict {
		t.Error("Run with a name in use:", err)
	}
	other := t.oneOffOf(Forever)
	other.AppID, other.Name = uuid.NewString(), o.Name
	t.run(other)
	if err := t.s.Remove(t.ctx, other.AppID); err != nil {
		t.Error(err)
	}
	t.oneOffCleanup()
}

func (t *schedulerTest) oneOffCleanup() {
	t.Helper()
	if err := t.s.Remove(t.ctx, t.app); err != nil {
		t.Error("Remove:", err)
	}
	t.eventually("")
}

func (t *schedulerTest) oneOffStop() {
	t.up(t.release(1, "web 1 "+Listen))
	d := t.run(t.oneOffOf(Forever))
	if err := t.s.Stop(t.ctx, t.app, dyno.Selector{Name: d.Name}); err != nil {
		t.Fatal(err)
	}
	if e, err := t.s.Wait(t.ctx, d.ID); err != nil || e.Status != 143 {
		t.Errorf("Wait = %d, %v, want 143", e.Status, err)
	}
	t.eventually("web.1 v1 up")
}

func (t *schedulerTest) oneOffTimeToLive() {
	o := t.oneOffOf(Deaf)
	o.TimeToLive = 300 * time.Millisecond
	d := t.run(o)
	if e, err := t.s.Wait(t.ctx, d.ID); err != nil || e.Status != 137 || e.Code != "R12" {
		t.Errorf("Wait = %+v, %v, want 137 and R12", e, err)
	}
}

func (t *schedulerTest) oneOffMissingImage() {
	o := t.oneOffOf(Forever)
	o.Release.Image = MissingImage
	if d, err := t.s.Run(t.ctx, o); err == nil {
		t.Errorf("Run = %+v", d)
	}
	t.eventually("")
}
