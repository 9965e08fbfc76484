package server_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paas/api"
	"paas/api/auth"
	"paas/api/platform"
	"paas/api/server"
	"paas/api/store"
	"paas/api/store/sqlstore"
	v3 "paas/api/v3"
	"paas/dyno/dynotest"
	"paas/dyno/supervisor"
	"paas/router"
	"paas/slug"
)

// fixture is the API over a real database, with nothing deployed.
type fixture struct {
	*httptest.Server
	t      *testing.T
	tokens map[string]string // by role
	app    api.App
	store  store.Store
	// outputs of builds and release phases
	outputs *platform.Outputs
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	db, err := sqlstore.Open(ctx, filepath.Join(t.TempDir(), "paas.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	outputs, err := platform.OpenOutputs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	fake := dynotest.NewFake(dynotest.FakeOptions{})
	t.Cleanup(fake.Close)
	p := platform.New(platform.Options{
		Store: db, Auth: auth.New(auth.Options{Store: db, Passwords: auth.NewPasswords(), Now: time.Now}), Builder: noBuilds{},
		Slugs: noSlugs{}, Scheduler: supervisor.New(supervisor.Options{Runtime: fake}), Router: noRouter{}, Logs: noLogs{}, Repos: noRepos{},
		Outputs: outputs, Log: slog.New(slog.DiscardHandler), Now: time.Now, Domain: "example.com",
		WebURL: func(app string) string { return "http://" + app + ".example.com/" },
		GitURL: func(app string) string { return "git@example.com:" + app + ".git" },
		Stacks: []string{slug.DefaultStack},
	})
	f := &fixture{t: t, store: db, outputs: outputs, tokens: map[string]string{"nobody": ""}, Server: httptest.NewServer(server.New(p, slog.New(slog.DiscardHandler)))}
	t.Cleanup(f.Close)
	accounts := map[string]api.Account{}
	for _, role := range []string{"owner", "collaborator", "stranger", "admin"} {
		a, err := platform.CreateAccount(ctx, db, time.Now(), role+"@example.com", role, role == "admin")
		if err != nil {
			t.Fatal(err)
		}
		accounts[role] = a
		for suffix, scope := range map[string]api.Scope{"": api.ScopeGlobal, "/identity": api.ScopeIdentity, "/read": api.ScopeRead} {
			_, token, err := platform.CreateAuthorization(ctx, db, time.Now(), a, "test", []api.Scope{scope}, 0)
			if err != nil {
				t.Fatal(err)
			}
			f.tokens[role+suffix] = token.Reveal()
		}
	}
	f.app, err = p.CreateApp(ctx, auth.Principal{Account: accounts["owner"], Scopes: []api.Scope{api.ScopeGlobal}}, platform.AppRequest{Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(ctx, func(tx store.Tx) error {
		return tx.AddCollaborator(api.Collaborator{AppID: f.app.ID, AccountID: accounts["collaborator"].ID, CreatedAt: time.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// call makes one request and returns status, body and headers.
func (f *fixture) call(role, method, path, body string, header ...string) (int, string, http.Header) {
	f.t.Helper()
	req, err := http.NewRequest(method, f.URL+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if token := f.tokens[role]; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := f.Client().Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// Every route with every kind of caller: nobody without a token gets anything,
// and to a stranger the app does not exist, whatever the path.
func TestEveryRouteChecksAccess(t *testing.T) {
	f := newFixture(t)
	walked := 0
	for _, r := range server.Paths() {
		path := strings.NewReplacer(":app", "shop", ":account", "~", ":key", "x", ":authorization", "x", ":release", "1", ":build", "x",
			":slug", "x", ":type", "web", ":dyno", "web.1", ":session", "x", ":output", "x", ":secret", "x").Replace(r.Path)
		if r.Open {
			continue
		}
		walked++
		if code, body, _ := f.call("nobody", r.Method, path, ""); code != http.StatusUnauthorized {
			t.Errorf("%s %s without a token: %d %s", r.Method, path, code, body)
		}
		if strings.Contains(r.Path, ":app") {
			code, body, _ := f.call("stranger", r.Method, path, "")
			if code != http.StatusNotFound || !strings.Contains(body, "Couldn't find that app.") {
				t.Errorf("%s %s by a stranger: %d %s", r.Method, path, code, body)
			}
			code, absent, _ := f.call("stranger", r.Method, strings.Replace(path, "shop", "absent", 1), "")
			if code != http.StatusNotFound || absent != body {
				t.Errorf("%s: foreign and absent apps can be told apart:\n%s%s", r.Path, body, absent)
			}
			if code, body, _ := f.call("owner/identity", r.Method, path, ""); code < 400 {
				t.Errorf("%s %s with scope identity: %d %s", r.Method, path, code, body)
			}
			if code, body, _ := f.call("owner/read", r.Method, path, ""); r.Method != http.MethodGet && !strings.HasSuffix(path, "log-sessions") && code != http.StatusForbidden {
				t.Errorf("%s %s with scope read: %d %s", r.Method, path, code, body)
			}
		}
	}
	if walked < 30 {
		t.Errorf("only %d routes were walked", walked)
	}
	if code, _, _ := f.call("collaborator", "DELETE", "/apps/shop", ""); code != http.StatusForbidden {
		t.Errorf("a collaborator destroys the app: %d", code)
	}
	if code, _, _ := f.call("collaborator", "PATCH", "/apps/shop", `{"name":"mine"}`); code != http.StatusForbidden {
		t.Errorf("a collaborator renames the app: %d", code)
	}
	for _, role := range []string{"owner", "collaborator", "admin"} {
		if code, body, _ := f.call(role, "GET", "/apps/shop", ""); code != http.StatusOK {
			t.Errorf("%s: %d %s", role, code, body)
		}
	}
}

func TestConventions(t *testing.T) {
	f := newFixture(t)
	code, body, head := f.call("owner", "GET", "/apps/shop", "")
	var app v3.App
	if err := json.Unmarshal([]byte(body), &app); err != nil || code != 200 || app.BuildStack.Name == "" || app.Generation.Name != "cedar" || app.Owner.Email != "owner@example.com" {
		t.Fatalf("%d %s %v", code, body, err)
	}
	if head.Get("Content-Type") != v3.MediaType || head.Get("Request-Id") == "" {
		t.Errorf("headers: %v", head)
	}
	const id = "01234567-89ab-cdef-0123-456789abcdef"
	if _, _, head := f.call("owner", "GET", "/apps/shop", "", "Request-Id", id); head.Get("Request-Id") != id {
		t.Errorf("the client's id is not kept: %v", head)
	}
	tests := []struct {
		name, method, path, body string
		header                   []string
		code                     int
		want                     string
	}{
		{"other version", "GET", "/apps/shop", "", []string{"Accept", "application/vnd.heroku+json; version=4"}, 406, "not_acceptable"},
		{"variant of 3", "GET", "/apps/shop", "", []string{"Accept", "application/vnd.heroku+json; version=3.sdk"}, 200, "shop"},
		{"no such route", "GET", "/nope", "", nil, 404, "not_found"},
		{"wrong verb", "PUT", "/apps/shop", "", nil, 404, "not_found"},
		{"broken JSON", "POST", "/apps", "{", nil, 400, "bad_request"},
		{"wrong type", "PATCH", "/apps/shop/config-vars", `{"A":1}`, nil, 400, "bad_request"},
		{"bad name", "POST", "/apps", `{"name":"Shop!"}`, nil, 422, "invalid_params"},
		{"taken", "POST", "/apps", `{"name":"shop"}`, nil, 422, "already taken"},
		{"bad key", "PATCH", "/apps/shop/config-vars", `{"A-B":"1"}`, nil, 422, "invalid_params"},
		{"platform's key", "PATCH", "/apps/shop/config-vars", `{"PORT":"1"}`, nil, 422, "set by the platform"},
		{"method override", "POST", "/apps/shop/config-vars", `{"A":"1"}`, []string{"X-Http-Method-Override", "PATCH"}, 200, `"A":"1"`},
		{"app by id", "GET", "/apps/" + f.app.ID, "", nil, 200, "shop"},
		{"no release", "GET", "/apps/shop/releases/99", "", nil, 404, `"resource":"release"`},
		{"release by v-name", "GET", "/apps/shop/releases/v1", "", nil, 200, "Initial release"},
		{"too large", "PATCH", "/apps/shop/config-vars", `{"A":"` + strings.Repeat("x", 70000) + `"}`, nil, 422, "too large"},
		{"far too large", "PATCH", "/apps/shop/config-vars", `{"A":"` + strings.Repeat("x", 2<<20) + `"}`, nil, 400, "larger than"},
		{"token for ever by overflow", "POST", "/oauth/authorizations", `{"expires_in":9300000000}`, nil, 422, "expires_in"},
		{"dyno for ever by overflow", "POST", "/apps/shop/dynos", `{"command":"ls","time_to_live":18446744074}`, nil, 422, "time_to_live"},
		{"own apps", "GET", "/users/~/apps", "", nil, 200, "shop"},
		{"own apps by e-mail", "GET", "/users/Owner@example.com/apps", "", nil, 200, "shop"},
		{"apps of another", "GET", "/users/admin@example.com/apps", "", nil, 404, "not_found"},
		{"run on a blank app", "POST", "/apps/shop/dynos", `{"command":"ls"}`, nil, 422, "git push"},
		{"newest release", "GET", "/apps/shop/releases", "", []string{"Range", "version ..; order=desc,max=1"}, 206, `"version":2`},
		{"all releases", "GET", "/apps/shop/releases", "", []string{"Range", "version ..; max=10, order=desc;"}, 200, `"version":1`},
		{"bad range", "GET", "/apps/shop/releases", "", []string{"Range", "colour ..; max=1"}, 416, "requested_range"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, body, _ := f.call("owner", tt.method, tt.path, tt.body, tt.header...)
			if code != tt.code || !strings.Contains(body, tt.want) {
				t.Errorf("%d %s", code, body)
			}
		})
	}
	_, _, head = f.call("owner", "GET", "/apps/shop/releases", "", "Range", "version ..; order=desc,max=1")
	if next := head.Get("Next-Range"); next != "version ]2..; max=1, order=desc" {
		t.Errorf("Next-Range: %q", next)
	} else if code, body, _ := f.call("owner", "GET", "/apps/shop/releases", "", "Range", next); code != 200 || !strings.Contains(body, `"version":1`) {
		t.Errorf("next page: %d %s", code, body)
	}
}

// A list can be walked in pages also when its members are of one second, by the
// very header that the server gives.
func TestPagesOfOneSecond(t *testing.T) {
	f := newFixture(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var made []string
	err := f.store.Update(t.Context(), func(tx store.Tx) error {
		for n := range 3 {
			id := "1c0e7c2e-6b1f-4c5e-9d54-5b8ad0b0a00" + string(rune('3'-n))
			made = append(made, id)
			when := at.Add(time.Duration(n) * time.Millisecond)
			if err := tx.CreateBuild(api.Build{ID: id, AppID: f.app.ID, Status: api.Failed, CreatedAt: when, UpdatedAt: when}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	next := "created_at ..; order=desc,max=1"
	for n := 2; n >= 0; n-- {
		code, body, head := f.call("owner", "GET", "/apps/shop/builds", "", "Range", next)
		var page []v3.Build
		if err := json.Unmarshal([]byte(body), &page); err != nil || code >= 300 || len(page) != 1 || page[0].ID != made[n] {
			t.Fatalf("%q: %d %s", next, code, body)
		}
		next = head.Get("Next-Range")
	}
	if next != "" {
		t.Errorf("a page after the last: %q", next)
	}
}

// A request that paasd's end cuts off has no answer that looks like success,
// and no browser asks for a password.
func TestStopAndStrangers(t *testing.T) {
	f := newFixture(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	srv := httptest.NewUnstartedServer(f.Config.Handler)
	srv.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	srv.Start()
	defer srv.Close()
	const silent, begun = "1c0e7c2e-6b1f-4c5e-9d54-5b8ad0b0a001", "1c0e7c2e-6b1f-4c5e-9d54-5b8ad0b0a002"
	for _, id := range []string{silent, begun} {
		o, err := f.outputs.Create(id)
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		if id == begun {
			o.Write([]byte("half\n"))
		}
	}
	half, err := srv.Client().Get(srv.URL + "/streams/outputs/" + begun)
	if err != nil {
		t.Fatal(err)
	}
	defer half.Body.Close()
	none := make(chan error, 1)
	go func() {
		resp, err := srv.Client().Get(srv.URL + "/streams/outputs/" + silent)
		if err == nil {
			resp.Body.Close()
		}
		none <- err
	}()
	stop()
	if err := <-none; err == nil {
		t.Error("an answer without anything in it")
	}
	if b, err := io.ReadAll(half.Body); err == nil {
		t.Errorf("half an output looks whole: %q", b)
	}
	if _, _, head := f.call("nobody", "GET", "/apps", ""); strings.Contains(head.Get("WWW-Authenticate"), "Basic") {
		t.Errorf("browsers are asked for a password: %v", head)
	}
}

func TestTokens(t *testing.T) {
	f := newFixture(t)
	code, body, _ := f.call("owner", "POST", "/oauth/authorizations", `{"description":"ci","scope":["read"],"expires_in":60}`)
	var a v3.Authorization
	if err := json.Unmarshal([]byte(body), &a); err != nil || code != 201 || a.AccessToken.Token == "" || *a.AccessToken.ExpiresIn > 60 {
		t.Fatalf("%d %s %v", code, body, err)
	}
	f.tokens["ci"] = a.AccessToken.Token
	if code, body, _ := f.call("ci", "GET", "/apps/shop", ""); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	if code, body, _ := f.call("ci", "POST", "/oauth/authorizations", `{"scope":["global"]}`); code != 403 {
		t.Errorf("a token of scope read makes one of scope global: %d %s", code, body)
	}
	if _, body, _ := f.call("owner", "GET", "/oauth/authorizations", ""); strings.Contains(body, a.AccessToken.Token) {
		t.Error("the list shows a token")
	}
	if code, _, _ := f.call("owner", "DELETE", "/oauth/authorizations/"+a.ID, ""); code != 200 {
		t.Errorf("revoke: %d", code)
	}
	if code, _, _ := f.call("ci", "GET", "/apps/shop", ""); code != 401 {
		t.Errorf("a revoked token works: %d", code)
	}
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"", "version ..; order=desc,max=1", "id ..; max=1000;", "name ]a..; max=2", "id [a..b]; max=5", "..", "]..", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if max, err := server.ParseRange(s); err == nil && (max < 1 || max > 1000) {
			t.Errorf("%q: max = %d", s, max)
		}
	})
}

type noBuilds struct{}

func (noBuilds) Build(context.Context, slug.BuildRequest) (slug.BuildResult, error) {
	return slug.BuildResult{}, nil
}
func (noBuilds) PurgeCache(context.Context, string) error { return nil }

type noSlugs struct{}

func (noSlugs) Info(context.Context, string) (slug.Info, error)         { return slug.Info{}, nil }
func (noSlugs) Export(context.Context, string, string, io.Writer) error { return nil }
func (noSlugs) Collect(context.Context, []string) (int64, error)        { return 0, nil }

type noRouter struct{}

func (noRouter) Publish(*router.Table) {}

type noLogs struct{}

func (noLogs) Write(string, ...api.LogLine) {}
func (noLogs) Tail(context.Context, string, platform.LogFilter, bool) (platform.LogSession, error) {
	return nil, io.EOF
}
func (noLogs) Delete(string) error { return nil }

type noRepos struct{}

func (noRepos) Delete(string) error { return nil }
func (noRepos) Size(string) int64   { return 0 }
