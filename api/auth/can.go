package auth

import (
	"slices"

	"paas/api"
)

// Action is what somebody wants to do. Those up to Manage concern one app, the
// others the caller's own account or the platform.
type Action int

const (
	// View: see the app, its releases, dynos, logs.
	View Action = iota + 1
	// ViewConfig: see the values of its config vars.
	ViewConfig
	// Deploy: push, build, release, roll back.
	Deploy
	// Operate: scale, restart, stop, maintenance, formation, stack, buildpacks.
	Operate
	// SetConfig: change its config vars.
	SetConfig
	// Run: start one-off dynos with a command of one's own, which can read
	// the config vars.
	Run
	// Manage: rename, transfer, destroy the app, say who its collaborators are.
	Manage

	// ViewSelf: see the own account.
	ViewSelf
	// Self: change the own account: keys, tokens, password.
	Self
	// CreateApp: own a new app.
	CreateApp
	// Administer: accounts of others and settings of the platform.
	Administer
)

// forApp says whether an action concerns one app.
func (a Action) forApp() bool { return a >= View && a <= Manage }

// scopeActions says what each scope allows, on top of which the role counts.
// The protected scopes are Heroku's: the others keep out of config vars.
// A scope that writes also reads: an answer to a write shows the thing. It
// cannot keep secrets from somebody who may deploy code that prints them.
var scopeActions = map[api.Scope][]Action{
	api.ScopeGlobal: {View, ViewConfig, Deploy, Operate, SetConfig, Run, Manage,
		ViewSelf, Self, CreateApp, Administer},
	api.ScopeIdentity:       {ViewSelf},
	api.ScopeRead:           {View},
	api.ScopeReadProtected:  {View, ViewConfig},
	api.ScopeWrite:          {View, Deploy, Operate, Manage, CreateApp},
	api.ScopeWriteProtected: {View, ViewConfig, Deploy, Operate, SetConfig, Run, Manage, CreateApp},
}

// role is what an account is to an app.
type role int

const (
	stranger role = iota
	collaborator
	owner // admins count as owners of every app
)

// Can says whether p may do action. For actions on an app, app is that app and
// collaborators are its collaborators; for others both are ignored.
//
// It is the only place that decides this.
func Can(p Principal, action Action, app api.App, collaborators []api.Collaborator) bool {
	if p.Account.ID == "" || !inScope(p, action) {
		return false
	}
	switch {
	case action == Administer:
		return p.Account.Admin
	case !action.forApp():
		return true
	case action == Manage:
		return roleOf(p, app, collaborators) == owner
	default:
		return roleOf(p, app, collaborators) >= collaborator
	}
}

// Check is Can as an error for users. To strangers the app does not exist;
// those who may know of it are told what is lacking.
func Check(p Principal, action Action, app api.App, collaborators []api.Collaborator) error {
	switch {
	case Can(p, action, app, collaborators):
		return nil
	case p.Account.ID == "":
		return invalidCredentials()
	case action.forApp() && roleOf(p, app, collaborators) == stranger:
		return api.Missing("app")
	case !inScope(p, action):
		return api.Errorf(api.Forbidden, "The scope of this token does not allow that. Log in again, or use a token with a wider scope.")
	case action.forApp():
		return api.Errorf(api.Forbidden, "Only the owner of %s and administrators may do that.", app.Name)
	default:
		return api.Errorf(api.Forbidden, "Only administrators may do that.")
	}
}

func inScope(p Principal, action Action) bool {
	return slices.ContainsFunc(p.Scopes, func(s api.Scope) bool { return slices.Contains(scopeActions[s], action) })
}

func roleOf(p Principal, app api.App, collaborators []api.Collaborator) role {
	switch {
	case app.ID == "":
		return stranger
	case p.Account.Admin, app.OwnerID == p.Account.ID:
		return owner
	case slices.ContainsFunc(collaborators, func(c api.Collaborator) bool {
		return c.AppID == app.ID && c.AccountID == p.Account.ID
	}):
		return collaborator
	}
	return stranger
}

// CheckScopes accepts scopes that a new token of p may have: known ones, none
// twice, and nothing that p itself may not do.
func CheckScopes(p Principal, scopes []api.Scope) error {
	if len(scopes) == 0 {
		return api.Errorf(api.InvalidParams, "A token needs at least one scope.")
	}
	for i, s := range scopes {
		actions, known := scopeActions[s]
		switch {
		case !known:
			return api.Errorf(api.InvalidParams, "No such scope %q. Scopes: global, identity, read, write, read-protected, write-protected.", s)
		case slices.Contains(scopes[:i], s):
			return api.Errorf(api.InvalidParams, "Scope %s is named twice.", s)
		}
		for _, a := range actions {
			if !inScope(p, a) {
				return api.Errorf(api.Forbidden, "This token may not make one of scope %s.", s)
			}
		}
	}
	return nil
}
