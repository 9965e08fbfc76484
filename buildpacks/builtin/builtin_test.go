package builtin

import "testing"

func TestOrderOfDetection(t *testing.T) {
	want := []string{"nodejs", "php", "go", "static", "procfile"}
	for i, b := range List() {
		if b.Name != want[i] || b.Display != "heroku/"+b.Name {
			t.Errorf("%d: %+v", i, b)
		}
		if found, ok := Find(b.Name); !ok || found.Name != b.Name {
			t.Errorf("Find(%q) = %+v", b.Name, found)
		}
	}
	if _, ok := Find("cobol"); ok {
		t.Error("found cobol")
	}
}
