package containerd

import (
	"testing"

	"paas/dyno"
	"paas/dyno/dynotest"
)

func TestConformance(t *testing.T) {
	dynotest.RunRuntime(t, func(t *testing.T, sink dyno.LogSink) dynotest.RuntimeHarness {
		h := newHost(t, sink)
		return dynotest.RuntimeHarness{
			Runtime:  h.Runtime,
			Template: specTemplate(),
			Restart: func(*testing.T) dyno.Runtime {
				h.restart()
				return h.Runtime
			},
		}
	})
}
