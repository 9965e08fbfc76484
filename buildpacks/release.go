package buildpacks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// release is what bin/release says.
type release struct {
	addons    []string
	processes []Process
	config    map[string]string
}

// parseRelease reads YAML such as
//
//	addons: [heroku-postgresql]
//	default_process_types:
//	  web: npm start
//
// No output at all, "---" and "--- {}" are as good.
func parseRelease(b []byte) (release, error) {
	var doc struct {
		Addons    yaml.Node `yaml:"addons"`
		Processes yaml.Node `yaml:"default_process_types"`
		Config    yaml.Node `yaml:"config_vars"`
	}
	if err := yaml.NewDecoder(bytes.NewReader(b)).Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return release{}, fmt.Errorf("its output is not YAML: %v", err)
	}
	var r release
	if doc.Addons.Kind == yaml.SequenceNode {
		for _, n := range doc.Addons.Content {
			if n.Kind == yaml.ScalarNode && n.Value != "" {
				r.addons = append(r.addons, n.Value)
			}
		}
	}
	at := map[string]int{}
	err := pairs(&doc.Processes, func(name, command string) {
		command = strings.TrimSpace(command)
		if command == "" || !processName.MatchString(name) {
			return
		}
		i, again := at[name]
		if !again {
			i = len(r.processes)
			at[name] = i
			r.processes = append(r.processes, Process{Name: name})
		}
		r.processes[i].Command = command
	})
	if err != nil {
		return release{}, fmt.Errorf("default_process_types: %w", err)
	}
	r.config = map[string]string{}
	if err := pairs(&doc.Config, func(k, v string) { r.config[k] = v }); err != nil {
		return release{}, fmt.Errorf("config_vars: %w", err)
	}
	return r, nil
}

// pairs calls yield for each pair of a mapping of scalars, in order.
func pairs(n *yaml.Node, yield func(k, v string)) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == 0, n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil
	case n.Kind != yaml.MappingNode:
		return fmt.Errorf("line %d: not a mapping", n.Line)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if v.Kind == yaml.AliasNode {
			v = v.Alias
		}
		if k.Kind != yaml.ScalarNode || v.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d: %q is not a text", v.Line, k.Value)
		}
		value := v.Value
		if v.Tag == "!!null" {
			value = ""
		}
		yield(k.Value, value)
	}
	return nil
}
