package slug

import (
	"encoding/json"
	"fmt"

	"paas/api"
)

// Labels of a slug's image config, beside org.opencontainers.image.revision
// and org.opencontainers.image.created.
const (
	LabelProcesses         = "paas.processes"  // JSON: [{"name": "web", "command": "..."}, ...] in Procfile order
	LabelStack             = "paas.stack"      // "heroku-22"
	LabelBuildpacks        = "paas.buildpacks" // JSON: the list as shown to users
	LabelDescription       = "paas.description"
	LabelCommit            = "org.opencontainers.image.revision"
	LabelCommitDescription = "paas.commit-description"
)

// AnnotationLayer is on a manifest's layer descriptors: Layer.Name.
const AnnotationLayer = "paas.layer"

// process is a process type as the label has it: the names are part of the
// format and do not follow those of api.ProcessType.
type process struct {
	Name    string `json:"name"`
	Command string `json:"command"`
}

// EncodeProcesses makes the value of LabelProcesses.
func EncodeProcesses(types []api.ProcessType) string {
	list := make([]process, len(types))
	for i, t := range types {
		list[i] = process(t)
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic(err) // two strings always encode
	}
	return string(b)
}

// DecodeProcesses is the inverse of EncodeProcesses.
func DecodeProcesses(label string) ([]api.ProcessType, error) {
	var list []process
	if err := json.Unmarshal([]byte(label), &list); err != nil {
		return nil, fmt.Errorf("cannot read process types of a slug: %w", err)
	}
	types := make([]api.ProcessType, len(list))
	for i, p := range list {
		types[i] = api.ProcessType(p)
	}
	return types, nil
}
