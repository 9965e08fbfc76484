package platform

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"paas/api"
	"paas/api/auth"
	"paas/api/store"
)

// Find resolves an app by name or id and decides access (auth.Check): to those
// who may not see it, it does not exist.
func (p *Platform) Find(ctx context.Context, who auth.Principal, nameOrID string, action auth.Action) (api.App, error) {
	var app api.App
	var collaborators []api.Collaborator
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		if _, parseErr := uuid.Parse(nameOrID); parseErr == nil {
			app, err = tx.App(nameOrID)
		} else {
			app, err = tx.AppByName(nameOrID)
		}
		if err == nil {
			collaborators, err = tx.Collaborators(app.ID)
		}
		return err
	})
	if err != nil {
		return api.App{}, fold(err, "app")
	}
	if err := auth.Check(who, action, app, collaborators); err != nil {
		return api.App{}, err
	}
	return app, nil
}

// fold turns a missing row into the error that users see.
func fold(err error, resource string) error {
	if errors.Is(err, store.ErrNotFound) {
		return api.Missing(resource)
	}
	return err
}

func conflicts(err error, rule string) bool {
	var c *store.ConflictError
	return errors.As(err, &c) && c.Rule == rule
}

func newID() string { return uuid.NewString() }
