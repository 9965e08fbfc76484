package platform

import (
	"context"
	"maps"
	"slices"
	"strings"

	"paas/api"
	"paas/api/auth"
	"paas/api/store"
)

// Config returns the app's config vars: those of its latest release, also if
// that failed, so that what a user has set is never lost.
func (p *Platform) Config(ctx context.Context, app api.App) (config api.ConfigVars, err error) {
	err = p.Store.View(ctx, func(tx store.Tx) error {
		config, err = latestConfig(tx, app.ID)
		return err
	})
	return config, err
}

func latestConfig(tx store.Tx, appID string) (api.ConfigVars, error) {
	r, err := tx.LatestRelease(appID)
	if err != nil {
		return nil, fold(err, "release")
	}
	return tx.ReleaseConfig(r.ID)
}

// SetConfig sets (value) and removes (nil) config vars in one new release,
// and returns all of them. The release is rolled out in the background; a
// change that changes nothing makes no release.
func (p *Platform) SetConfig(ctx context.Context, who auth.Principal, app api.App, changes map[string]*string) (api.ConfigVars, error) {
	for key, value := range changes {
		if err := api.CheckConfigKey(key); err != nil {
			return nil, err
		}
		if value != nil && strings.ContainsRune(*value, 0) {
			return nil, api.Errorf(api.InvalidParams, "Config var %s must not contain a NUL byte.", key)
		}
	}
	unlock, err := p.lockReleases(ctx, app.ID)
	if err != nil {
		return nil, err
	}
	var config api.ConfigVars
	var set, removed []string
	r, err := p.createRelease(ctx, app.ID, who, func(tx store.Tx, current api.Release) (releaseDraft, error) {
		before, err := latestConfig(tx, app.ID)
		if err != nil {
			return releaseDraft{}, err
		}
		config, set, removed = applyConfig(before, changes)
		if len(set)+len(removed) == 0 {
			// What failed to take effect is set already, but does not run: to set
			// it again is to try again.
			running, err := tx.ReleaseConfig(current.ID)
			if err != nil {
				return releaseDraft{}, err
			}
			_, set, removed = applyConfig(running, changes)
		}
		if config.Bytes() > api.MaxConfigBytes {
			return releaseDraft{}, api.Errorf(api.InvalidParams, "Config vars are too large: names and values may have %d kB together.", api.MaxConfigBytes>>10)
		}
		if len(set)+len(removed) == 0 {
			return releaseDraft{}, errNoRelease
		}
		return releaseDraft{slugID: current.SlugID, config: config, description: describeConfig(set, removed)}, nil
	})
	if err != nil {
		unlock()
		if err == errNoRelease {
			return config, nil
		}
		return nil, err
	}
	p.event(app.ID, r.Description+" by user "+who.Account.Email)
	p.rollOut(rollout{Release: r}, unlock)
	return config, nil
}

func applyConfig(before api.ConfigVars, changes map[string]*string) (after api.ConfigVars, set, removed []string) {
	after = maps.Clone(before)
	if after == nil {
		after = api.ConfigVars{}
	}
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		value := changes[key]
		old, had := before[key]
		switch {
		case value == nil && had:
			delete(after, key)
			removed = append(removed, key)
		case value != nil && (!had || old != *value):
			after[key] = *value
			set = append(set, key)
		}
	}
	return after, set, removed
}

func describeConfig(set, removed []string) string {
	s, r := strings.Join(set, ", "), strings.Join(removed, ", ")
	switch {
	case len(removed) == 0:
		return "Set " + s + " config vars"
	case len(set) == 0:
		return "Remove " + r + " config vars"
	}
	return "Set " + s + " and remove " + r + " config vars"
}
