package auth

import (
	"errors"
	"slices"
	"testing"

	"paas/api"
)

var everyAction = map[Action]string{
	View: "View", ViewConfig: "ViewConfig", Deploy: "Deploy", Operate: "Operate", SetConfig: "SetConfig", Run: "Run", Manage: "Manage",
	ViewSelf: "ViewSelf", Self: "Self", CreateApp: "CreateApp", Administer: "Administer",
}

var everyScope = []api.Scope{
	api.ScopeGlobal, api.ScopeIdentity, api.ScopeRead, api.ScopeReadProtected, api.ScopeWrite, api.ScopeWriteProtected,
}

// matrix says who may do what. Roles: a admin, o owner, c collaborator,
// s stranger. Scopes: G global, I identity, r read, R read-protected, w write,
// W write-protected. Whatever is not here is forbidden.
var matrix = map[Action]struct{ roles, scopes string }{
	View:       {"aoc", "GrRwW"},
	ViewConfig: {"aoc", "GRW"},
	Deploy:     {"aoc", "GwW"},
	Operate:    {"aoc", "GwW"},
	SetConfig:  {"aoc", "GW"},
	Run:        {"aoc", "GW"},
	Manage:     {"ao", "GwW"},
	ViewSelf:   {"aocs", "GI"},
	Self:       {"aocs", "G"},
	CreateApp:  {"aocs", "GwW"},
	Administer: {"a", "G"},
}

var scopeLetters = map[api.Scope]rune{
	api.ScopeGlobal: 'G', api.ScopeIdentity: 'I', api.ScopeRead: 'r', api.ScopeReadProtected: 'R',
	api.ScopeWrite: 'w', api.ScopeWriteProtected: 'W',
}

var (
	theApp        = api.App{ID: "app", Name: "name", OwnerID: "owner"}
	collaborating = []api.Collaborator{
		{AppID: "other", AccountID: "stranger"}, // of another app: must not count
		{AppID: "app", AccountID: "collaborator"},
	}
	everyRole = map[rune]api.Account{
		'a': {ID: "admin", Admin: true}, 'o': {ID: "owner"}, 'c': {ID: "collaborator"}, 's': {ID: "stranger"},
	}
)

func TestCan(t *testing.T) {
	if len(matrix) != len(everyAction) || len(scopeActions) != len(everyScope) {
		t.Fatal("the tables here miss an action or a scope")
	}
	for action, name := range everyAction {
		for role, account := range everyRole {
			// Every set of scopes.
			for set := range 1 << len(everyScope) {
				var scopes []api.Scope
				want := false
				for i, s := range everyScope {
					if set&(1<<i) == 0 {
						continue
					}
					scopes = append(scopes, s)
					m := matrix[action]
					want = want || slices.Contains([]rune(m.roles), role) && slices.Contains([]rune(m.scopes), scopeLetters[s])
				}
				p := Principal{Account: account, Scopes: scopes}
				if got := Can(p, action, theApp, collaborating); got != want {
					t.Errorf("Can(%s, %s) with %v = %v", account.ID, name, scopes, got)
				}
				if err := Check(p, action, theApp, collaborating); (err == nil) != want {
					t.Errorf("Check(%s, %s) with %v = %v", account.ID, name, scopes, err)
				}
			}
		}
	}
}

// What is not stated is forbidden.
func TestCanDefaultsToNo(t *testing.T) {
	global := []api.Scope{api.ScopeGlobal}
	for action, name := range everyAction {
		for what, p := range map[string]Principal{
			"nobody":             {},
			"nobody with scopes": {Scopes: global},
			"no scopes":          {Account: everyRole['o']},
			"unknown scope":      {Account: everyRole['o'], Scopes: []api.Scope{"everything", "", "Global"}},
		} {
			if Can(p, action, theApp, collaborating) {
				t.Errorf("%s may %s", what, name)
			}
		}
	}
	for _, action := range []Action{0, -1, Administer + 1, 99} {
		if Can(Principal{Account: everyRole['a'], Scopes: global}, action, theApp, nil) {
			t.Errorf("an admin may do the unknown action %d", action)
		}
	}
	// An app without id or owner must not match an account without.
	for account := range 2 {
		p := Principal{Account: []api.Account{{ID: "x"}, {ID: "admin", Admin: true}}[account], Scopes: global}
		if Can(p, View, api.App{}, []api.Collaborator{{AccountID: "x"}}) {
			t.Errorf("%s may see an app that is none", p.Account.ID)
		}
	}
}

func TestCheckWords(t *testing.T) {
	global := []api.Scope{api.ScopeGlobal}
	for _, c := range []struct {
		who    api.Account
		scopes []api.Scope
		action Action
		want   api.ErrorID
	}{
		{everyRole['s'], global, View, api.NotFound},
		{everyRole['s'], global, Manage, api.NotFound},
		{everyRole['s'], nil, View, api.NotFound}, // the scope says nothing about what exists
		{everyRole['c'], global, Manage, api.Forbidden},
		{everyRole['o'], []api.Scope{api.ScopeRead}, Deploy, api.Forbidden},
		{everyRole['o'], []api.Scope{api.ScopeIdentity}, View, api.Forbidden},
		{everyRole['o'], global, Administer, api.Forbidden},
		{everyRole['o'], []api.Scope{api.ScopeRead}, Self, api.Forbidden},
		{api.Account{}, global, View, api.Unauthorized},
		{everyRole['o'], global, Manage, ""},
	} {
		err := Check(Principal{Account: c.who, Scopes: c.scopes}, c.action, theApp, collaborating)
		if api.IDOf(err) != c.want {
			t.Errorf("%s with %v, %s: %v, want %q", c.who.ID, c.scopes, everyAction[c.action], err, c.want)
		}
	}
	// A stranger's answer is that of an app that is not there, word for word.
	var e *api.Error
	err := Check(Principal{Account: everyRole['s'], Scopes: global}, Deploy, theApp, collaborating)
	if !errors.As(err, &e) || *e != *api.Missing("app") {
		t.Errorf("to a stranger: %#v", err)
	}
}

func TestCheckScopes(t *testing.T) {
	for _, c := range []struct {
		have, want []api.Scope
		id         api.ErrorID
	}{
		{[]api.Scope{"global"}, []api.Scope{"global"}, ""},
		{[]api.Scope{"global"}, []api.Scope{"read", "identity"}, ""},
		{[]api.Scope{"global"}, nil, api.InvalidParams},
		{[]api.Scope{"global"}, []api.Scope{"root"}, api.InvalidParams},
		{[]api.Scope{"global"}, []api.Scope{"read", "read"}, api.InvalidParams},
		{[]api.Scope{"write-protected"}, []api.Scope{"write", "read-protected"}, ""},
		{[]api.Scope{"write-protected"}, []api.Scope{"global"}, api.Forbidden},
		{[]api.Scope{"write"}, []api.Scope{"read-protected"}, api.Forbidden},
		{[]api.Scope{"read"}, []api.Scope{"write"}, api.Forbidden},
		{[]api.Scope{"identity"}, []api.Scope{"read"}, api.Forbidden},
		{nil, []api.Scope{"identity"}, api.Forbidden},
	} {
		if err := CheckScopes(Principal{Scopes: c.have}, c.want); api.IDOf(err) != c.id {
			t.Errorf("%v making %v: %v, want %q", c.have, c.want, err, c.id)
		}
	}
}
