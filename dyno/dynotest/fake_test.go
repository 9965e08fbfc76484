package dynotest_test

import (
	"testing"

	"paas/api"
	"paas/dyno"
	"paas/dyno/dynotest"
)

func TestFakeIsARuntime(t *testing.T) {
	dynotest.RunRuntime(t, func(t *testing.T, sink dyno.LogSink) dynotest.RuntimeHarness {
		f := dynotest.NewFake(dynotest.FakeOptions{Sink: sink, Listen: true})
		t.Cleanup(f.Close)
		return dynotest.RuntimeHarness{
			Runtime:  f,
			Template: dyno.Spec{AppID: "5f6e6f3e-0000-4000-8000-000000000001", AppName: "app", Release: 1, Size: api.DynoSizes()[0]},
			Restart:  func(*testing.T) dyno.Runtime { f.Abandon(); return f },
		}
	})
}
