package php

import (
	"context"
	"os"

	"paas/buildpacks/builtin/classic"
)

// TestCompile installs with development packages.
func (Pack) TestCompile(ctx context.Context, c *classic.Call) error {
	return compile(ctx, c, true)
}

// runners are the test tools that are looked for, in this order, with the
// files that say an app uses them.
var runners = []struct {
	program string
	args    []string
	files   []string
}{
	{"codecept", []string{"run"}, []string{"codeception.yml", "codeception.dist.yml"}},
	{"behat", nil, []string{"behat.yml", "behat.yml.dist"}},
	{"phpspec", []string{"run"}, []string{"phpspec.yml", ".phpspec.yml", "phpspec.yml.dist"}},
	{"atoum", nil, []string{".atoum.php"}},
	{"kahlan", nil, []string{"kahlan-config.php"}},
	{"peridot", nil, []string{"peridot.php"}},
	{"phpunit", nil, []string{"phpunit.xml", "phpunit.xml.dist", "phpunit.dist.xml"}},
}

// Test runs the composer script "test", or the first test tool the app has a
// configuration for.
func (Pack) Test(ctx context.Context, c *classic.Call) (int, error) {
	c.Env.AddConfig(c.Config)
	f := filesOf(c.Config)
	data, err := os.ReadFile(c.Path(f.json))
	if err != nil {
		return 1, err
	}
	m, err := parseManifest(data)
	if err != nil {
		return 1, err
	}
	_, bin := m.dirs()
	c.Env.Prepend("PATH", c.Path(bin))
	args := testCommand(c, m, bin)
	if args == nil {
		return 1, classic.Failf("Add a script \"test\" to composer.json, or give the command in app.json.", "No test command found.")
	}
	return classic.TestStatus(c.Exec(ctx, classic.Command{Args: args, Out: c.Out.Raw()}))
}

func testCommand(c *classic.Call, m manifest, bin string) []string {
	if _, ok := m.Scripts["test"]; ok {
		return []string{"composer", "run-script", "--no-interaction", "test"}
	}
	for _, r := range runners {
		if !c.Exists(bin, r.program) {
			continue
		}
		for _, file := range r.files {
			if c.Exists(file) {
				return append([]string{"php", "-d", "zend.assertions=1", c.Path(bin, r.program)}, r.args...)
			}
		}
	}
	return nil
}
