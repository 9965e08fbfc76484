package dynotest

import (
	"context"
	"errors"
	"strings"
	"time"

	"paas/dyno"
)

func (t *schedulerTest) rollout() {
	v1 := t.release(1, "web 2 "+Listen, "worker 1 "+Forever)
	before := t.up(v1)
	v2 := t.release(2, "web 2 "+After("0.2", Listen), "worker 1 "+Forever)
	stop := t.always("serving v1", serving(1))
	t.apply(v1, v2)
	t.ready(2)
	t.ready(1)
	byRelease := map[int]map[string]dyno.Instance{1: {}, 2: {}}
	for _, i := range t.s.Dynos(t.app) {
		byRelease[i.Release][i.Name] = i
	}
	t.sameIDs("rollout", before, byRelease[1], "web.1", "web.2", "worker.1")
	stop()
	stop = t.always("serving v2", serving(2))
	t.apply(v2, nil)
	t.eventually("web.1 v2 up, web.2 v2 up, worker.1 v2 up")
	t.sameIDs("commit", byRelease[2], t.dynos(), "web.1", "web.2", "worker.1")
	stop()
}

func (t *schedulerTest) firstRollout() {
	v1 := t.release(1, "web 1 "+Listen)
	t.apply(nil, v1)
	t.ready(1)
	before := t.dynos()
	t.apply(v1, nil)
	t.ready(1)
	t.sameIDs("commit", before, t.dynos(), "web.1")
}

func (t *schedulerTest) rolloutFails() {
	v1 := t.release(1, "web 1 "+Listen)
	before := t.up(v1)
	defer t.always("serving v1", serving(1))()
	for version, process := range map[int]string{
		2: "web 1 exit 9",
		3: "worker 1 " + After("0.1", "exit 9"),
		4: "web 1 no-such-command",
	} {
		v := t.release(version, "web 1 "+Listen)
		v.Processes = append(v.Processes, t.release(version, process).Processes...)
		if strings.HasPrefix(process, "web") {
			v.Processes = v.Processes[1:]
		}
		t.apply(v1, v)
		err := t.s.Ready(t.ctx, t.app, version)
		var failed *dyno.RolloutError
		if !errors.As(err, &failed) || failed.Reason == "" || !strings.HasPrefix(process, strings.TrimSuffix(failed.Dyno, ".1")) {
			t.Fatalf("Ready with %q: %v", process, err)
		}
		t.apply(v1, nil)
		t.eventually("web.1 v1 up")
		if late := t.s.Ready(t.ctx, t.app, version); !errors.As(late, &failed) {
			t.Errorf("Ready after the end of the rollout: %v", late)
		}
	}
	t.sameIDs("failed rollouts", before, t.dynos(), "web.1")
}

func (t *schedulerTest) rolloutMissingImage() {
	v1 := t.release(1, "web 1 "+Listen)
	before := t.up(v1)
	v2 := t.release(2, "web 1 "+Listen)
	v2.Image = MissingImage
	t.apply(v1, v2)
	var failed *dyno.RolloutError
	if err := t.s.Ready(t.ctx, t.app, 2); !errors.As(err, &failed) {
		t.Fatal("Ready:", err)
	}
	t.apply(v1, nil)
	t.eventually("web.1 v1 up")
	t.sameIDs("failed rollout", before, t.dynos(), "web.1")
}

func (t *schedulerTest) rolloutReplaced() {
	v1 := t.release(1, "web 1 "+Listen)
	t.up(v1)
	t.apply(v1, t.release(2, "web 1 "+Forever))
	waiting := make(chan error, 1)
	go func() { waiting <- t.s.Ready(t.ctx, t.app, 2) }()
	t.apply(v1, t.release(3, "web 1 "+Listen))
	if err := <-waiting; err == nil || t.ctx.Err() != nil {
		t.Error("Ready of a rollout that was replaced:", err)
	}
	t.ready(3)
}

func (t *schedulerTest) readyUnknown() {
	if err := t.s.Ready(t.ctx, t.app, 1); err == nil {
		t.Error("an unknown app is ready")
	}
	t.up(t.release(1, "web 1 "+Listen))
	if err := t.s.Ready(t.ctx, t.app, 7); err == nil {
		t.Error("an unknown release is ready")
	}
	ctx, cancel := context.WithTimeout(t.ctx, 20*time.Millisecond)
	defer cancel()
	t.apply(t.release(2, "web 1 "+Forever), nil)
	if err := t.s.Ready(ctx, t.app, 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("Ready after its context ended:", err)
	}
}
