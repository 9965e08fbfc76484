package supervisor_test

import (
	"context"
	"testing"
	"time"

	"paas/api"
	"paas/dyno"
	"paas/dyno/dynotest"
	"paas/dyno/supervisor"
)

func TestSupervisorIsAScheduler(t *testing.T) {
	dynotest.RunScheduler(t, func(t *testing.T) dynotest.SchedulerHarness {
		fake := dynotest.NewFake(dynotest.FakeOptions{Listen: true})
		t.Cleanup(fake.Close)
		stop := func() {}
		begin := func(t *testing.T) dyno.Scheduler {
			stop()
			s := supervisor.New(supervisor.Options{Runtime: fake, StopTimeout: 500 * time.Millisecond})
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- s.Supervise(ctx) }()
			stop = func() {
				cancel()
				if err := <-done; err != nil {
					t.Error("Supervise:", err)
				}
			}
			return s
		}
		t.Cleanup(func() { stop() })
		return dynotest.SchedulerHarness{Scheduler: begin(t), Image: "sha256:1", Size: api.DynoSizes()[0], Restart: begin}
	})
}
