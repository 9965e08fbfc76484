package procfile

import (
	"bytes"
	"testing"

	"paas/buildpacks/builtin/classic"
)

func TestPack(t *testing.T) {
	for text, ok := range map[string]bool{
		"web: ./server\n": true, "web ./server": true, "# nothing\n": false, "": false, "\n\nworker: x": true, "web:\n": false,
	} {
		var out bytes.Buffer
		c := &classic.Call{BuildDir: t.TempDir(), Out: classic.NewOutput(&out, &out)}
		if _, err := (Pack{}).Detect(c); err == nil {
			t.Error("detected nothing")
		}
		if err := classic.Write(c.Path("Procfile"), 0o644, text); err != nil {
			t.Fatal(err)
		}
		if name, err := (Pack{}).Detect(c); err != nil || name != "Procfile" {
			t.Errorf("%q, %v", name, err)
		}
		if err := (Pack{}).Compile(t.Context(), c); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
