package platform

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"paas/api"
	"paas/api/auth"
	"paas/api/store"
)

// FormationEntry is one process type of the current release.
type FormationEntry struct {
	api.Formation
	Command string
}

// Formation lists the process types of the current release in Procfile order.
func (p *Platform) Formation(ctx context.Context, app api.App) (entries []FormationEntry, err error) {
	err = p.Store.View(ctx, func(tx store.Tx) error {
		entries, err = formationOf(tx, app.ID)
		return err
	})
	return entries, err
}

func formationOf(tx store.Tx, appID string) ([]FormationEntry, error) {
	app, err := tx.App(appID)
	if err != nil {
		return nil, fold(err, "app")
	}
	r, err := tx.ReleaseByVersion(app.ID, app.Current)
	if err != nil || r.SlugID == "" {
		return nil, err
	}
	s, err := tx.Slug(r.SlugID)
	if err != nil {
		return nil, err
	}
	formation, err := tx.Formation(app.ID)
	if err != nil {
		return nil, err
	}
	var entries []FormationEntry
	for _, pt := range s.Processes {
		for _, f := range formation {
			if f.Type == pt.Name {
				entries = append(entries, FormationEntry{Formation: f, Command: pt.Command})
			}
		}
	}
	return entries, nil
}

// growFormation adds entries for the process types of a new slug: one web
// dyno the first time an app has a web process, none of all others (Heroku:
// "Scaling Your Dyno Formation").
func growFormation(tx store.Tx, appID string, s api.Slug, now time.Time) error {
	have, err := tx.Formation(appID)
	if err != nil {
		return err
	}
next:
	for _, pt := range s.Processes {
		for _, f := range have {
			if f.Type == pt.Name {
				continue next
			}
		}
		f := api.Formation{ID: newID(), AppID: appID, Type: pt.Name, Size: api.DefaultDynoSize, UpdatedAt: now}
		if pt.Name == api.Web {
			f.Quantity = 1
		}
		if err := tx.PutFormation(f); err != nil {
			return err
		}
	}
	return nil
}

// ScaleUpdate changes one process type. Quantity is a number, or a number
// with a sign that is added to the present one; "" leaves it. Size "" leaves
// it.
type ScaleUpdate struct{ Type, Quantity, Size string }

// Scale changes the formation, all updates or none, and returns the entries it
// named. It makes no release.
func (p *Platform) Scale(ctx context.Context, who auth.Principal, app api.App, updates []ScaleUpdate) ([]FormationEntry, error) {
	var changed []FormationEntry
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		entries, err := formationOf(tx, app.ID)
		if err != nil {
			return err
		}
		for _, u := range updates {
			i := indexType(entries, u.Type)
			if i < 0 {
				return api.Errorf(api.NotFound, "Couldn't find that process type (%s).%s", u.Type, hintTypes(entries))
			}
			if u.Type == api.ReleasePhase && u.Quantity != "" && u.Quantity != "0" {
				return api.Errorf(api.InvalidParams, "The release process cannot be scaled: it runs once for each release.")
			}
			if entries[i].Quantity, err = newQuantity(entries[i].Quantity, u.Quantity); err != nil {
				return err
			}
			if u.Size != "" {
				size, err := api.SizeNamed(u.Size)
				if err != nil {
					return err
				}
				entries[i].Size = size.Name
			}
			entries[i].UpdatedAt = p.Now()
			if err := tx.PutFormation(entries[i].Formation); err != nil {
				return err
			}
			changed = append(changed, entries[i])
		}
		return nil
	})
	if err != nil || len(changed) == 0 {
		return changed, err
	}
	words := make([]string, len(changed))
	for i, f := range changed {
		words[i] = fmt.Sprintf("%s@%d:%s", f.Type, f.Quantity, f.Size)
	}
	p.event(app.ID, fmt.Sprintf("Scaled to %s by user %s", strings.Join(words, " "), who.Account.Email))
	// The router first learns that an app has no web dynos wanted, then they
	// are stopped; the other way round it would hold requests for nothing.
	ctx, cancel := afterCommit(ctx)
	defer cancel()
	return changed, errors.Join(p.publish(ctx), p.apply(ctx, app.ID))
}

func newQuantity(now int, change string) (int, error) {
	if change == "" {
		return now, nil
	}
	n, err := strconv.Atoi(change)
	if err != nil {
		return 0, api.Errorf(api.InvalidParams, "Quantity %q is not a number. Use web=2, web+1 or web-1.", change)
	}
	if change[0] == '+' || change[0] == '-' {
		n += now
	}
	if n < 0 || n > api.MaxQuantity {
		return 0, api.Errorf(api.InvalidParams, "Quantity must be from 0 to %d, not %d.", api.MaxQuantity, n)
	}
	return n, nil
}

func indexType(entries []FormationEntry, processType string) int {
	for i, f := range entries {
		if f.Type == processType {
			return i
		}
	}
	return -1
}

func hintTypes(entries []FormationEntry) string {
	if len(entries) == 0 {
		return " The app has none yet: deploy first."
	}
	names := make([]string, len(entries))
	for i, f := range entries {
		names[i] = f.Type
	}
	return " It has " + strings.Join(names, ", ") + "."
}
