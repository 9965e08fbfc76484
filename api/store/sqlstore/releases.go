package sqlstore

import (
	"encoding/json"
	"errors"
	"fmt"

	"paas/api"
	"paas/api/store"
)

const releaseColumns = `id, app_id, version, slug_id, description, status, author_id, author_email, output_id,
	created_at, updated_at`

func scanRelease(r row) (v api.Release, err error) {
	err = r.Scan(&v.ID, &v.AppID, &v.Version, &v.SlugID, &v.Description, &v.Status, &v.AuthorID, &v.AuthorEmail, &v.OutputID,
		timeColumn{&v.CreatedAt}, timeColumn{&v.UpdatedAt})
	return v, err
}

func (t *tx) CreateRelease(r api.Release, config api.ConfigVars) error {
	const what = "create release"
	latest, err := get(t, what, func(row row) (n int, err error) {
		err = row.Scan(&n)
		return n, err
	}, `SELECT coalesce(max(version), 0) FROM releases WHERE app_id = ?`, r.AppID)
	if err != nil {
		return err
	}
	if r.Version != latest+1 {
		return &store.ConflictError{Rule: store.RuleReleaseVersion}
	}
	if r.SlugID != "" {
		found, err := t.exists(what, `SELECT 1 FROM slugs WHERE id = ? AND app_id = ?`, r.SlugID, r.AppID)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("cannot %s: slug %q of this app: %w", what, r.SlugID, store.ErrNotFound)
		}
	}
	vars, err := jsonVars(config)
	if err != nil {
		return t.fail(what, err)
	}
	err = t.write(what, `INSERT INTO releases (`+releaseColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.AppID, r.Version, r.SlugID, text(r.Description), string(r.Status), r.AuthorID, r.AuthorEmail, r.OutputID,
		millis(r.CreatedAt), millis(r.UpdatedAt))
	if err != nil {
		return err
	}
	return t.write(what, `INSERT INTO config_vars (release_id, vars) VALUES (?, ?)`, r.ID, vars)
}

// jsonVars is config as JSON. Errors name a variable, never its value.
func jsonVars(config api.ConfigVars) (string, error) {
	if config == nil {
		config = api.ConfigVars{}
	}
	for _, name := range config.Names() {
		if !wellFormed(name) || !wellFormed(config[name]) {
			return "", fmt.Errorf("config var %q is not UTF-8 text without NUL", name)
		}
	}
	return jsonText(map[string]string(config)), nil
}

func (t *tx) UpdateRelease(r api.Release) error {
	return t.write("update release", `UPDATE releases SET status = ?, output_id = ?, updated_at = ? WHERE id = ?`,
		string(r.Status), r.OutputID, millis(r.UpdatedAt), r.ID)
}

func (t *tx) Release(id string) (api.Release, error) {
	return get(t, "read release", scanRelease, `SELECT `+releaseColumns+` FROM releases WHERE id = ?`, id)
}

func (t *tx) ReleaseByVersion(appID string, version int) (api.Release, error) {
	return get(t, "read release", scanRelease,
		`SELECT `+releaseColumns+` FROM releases WHERE app_id = ? AND version = ?`, appID, version)
}

func (t *tx) LatestRelease(appID string) (api.Release, error) {
	return get(t, "read release", scanRelease,
		`SELECT `+releaseColumns+` FROM releases WHERE app_id = ? ORDER BY version DESC LIMIT 1`, appID)
}

func (t *tx) Releases(appID string, limit int) ([]api.Release, error) {
	query, args := limited(`SELECT `+releaseColumns+` FROM releases WHERE app_id = ? ORDER BY version DESC`, limit, appID)
	return list(t, "list releases", scanRelease, query, args...)
}

func (t *tx) PendingReleases() ([]api.Release, error) {
	return list(t, "list releases", scanRelease, `SELECT `+releaseColumns+` FROM releases WHERE status = 'pending' ORDER BY seq`)
}

func (t *tx) ReleaseConfig(releaseID string) (api.ConfigVars, error) {
	return get(t, "read config vars", scanVars, `SELECT vars FROM config_vars WHERE release_id = ?`, releaseID)
}

func scanVars(r row) (api.ConfigVars, error) {
	s, err := scanString(r)
	if err != nil {
		return nil, err
	}
	config := api.ConfigVars{}
	if err := json.Unmarshal([]byte(s), &config); err != nil {
		return nil, errors.New("config vars are not valid JSON") // err could quote a value
	}
	return config, nil
}
