package server

import (
	"net/http"

	"paas/api/auth"
)

// route is one line of the table: what is called, and what the caller must be
// allowed to do. Package auth ties each action to the scope that a token needs
// for it; open routes authenticate by themselves, show nothing of anybody, or
// have a capability in their path.
type route struct {
	method, path string
	action       auth.Action
	handler      func(*call) error
}

const open = auth.Action(0)

// routes is the whole API. A test walks it with every kind of caller.
func routes() []route {
	const get, post, patch, put, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete
	return []route{
		{get, "/health", open, health},

		{get, "/account", auth.ViewSelf, showAccount},
		{get, "/users/:account", auth.ViewSelf, showAccount},
		{get, "/account/keys", auth.ViewSelf, listKeys},
		{post, "/account/keys", auth.Self, addKey},
		{get, "/account/keys/:key", auth.ViewSelf, showKey},
		{del, "/account/keys/:key", auth.Self, removeKey},
		{post, "/oauth/authorizations", open, createAuthorization},
		{get, "/oauth/authorizations", auth.Self, listAuthorizations},
		{del, "/oauth/authorizations/:authorization", auth.Self, revokeAuthorization},
		{del, "/oauth/sessions/:authorization", auth.ViewSelf, endSession},

		{get, "/stacks", open, listStacks},
		{get, "/regions", open, listRegions},
		{get, "/dyno-sizes", open, listDynoSizes},

		{get, "/apps", auth.ViewSelf, listApps},
		{get, "/users/:account/apps", auth.ViewSelf, listOwnApps},
		{post, "/apps", auth.CreateApp, createApp},
		{get, "/apps/:app", auth.View, showApp},
		{patch, "/apps/:app", auth.Operate, updateApp}, // a new name needs Manage,
		{del, "/apps/:app", auth.Manage, destroyApp},
		{get, "/apps/:app/collaborators", auth.View, listCollaborators},
		{get, "/apps/:app/buildpack-installations", auth.View, listBuildpacks},
		{put, "/apps/:app/buildpack-installations", auth.Operate, setBuildpacks},

		{get, "/apps/:app/config-vars", auth.ViewConfig, showConfig},
		{patch, "/apps/:app/config-vars", auth.SetConfig, setConfig},
		{get, "/apps/:app/releases/:release/config-vars", auth.ViewConfig, showReleaseConfig},

		{get, "/apps/:app/releases", auth.View, listReleases},
		{post, "/apps/:app/releases", auth.Deploy, createRelease},
		{get, "/apps/:app/releases/:release", auth.View, showRelease},

		{get, "/apps/:app/builds", auth.View, listBuilds},
		{get, "/apps/:app/builds/:build", auth.View, showBuild},
		{del, "/apps/:app/builds/:build", auth.Deploy, cancelBuild},
		{del, "/apps/:app/build-cache", auth.Deploy, purgeCache},

		{get, "/apps/:app/slugs", auth.View, listSlugs},
		{get, "/apps/:app/slugs/:slug", auth.View, showSlug},
		{get, "/apps/:app/slugs/:slug/image", auth.ViewConfig, exportSlug},

		{get, "/apps/:app/formation", auth.View, listFormation},
		{patch, "/apps/:app/formation", auth.Operate, updateFormation},
		{get, "/apps/:app/formation/:type", auth.View, showFormation},
		{patch, "/apps/:app/formation/:type", auth.Operate, updateOneFormation},
		{del, "/apps/:app/formations/:type", auth.Operate, restartType},
		{post, "/apps/:app/formations/:type/actions/stop", auth.Operate, stopType},

		{get, "/apps/:app/dynos", auth.View, listDynos},
		{post, "/apps/:app/dynos", auth.Run, runDyno},
		{get, "/apps/:app/dynos/:dyno", auth.View, showDyno},
		{del, "/apps/:app/dynos", auth.Operate, restartAll},
		{del, "/apps/:app/dynos/:dyno", auth.Operate, restartDyno},
		{post, "/apps/:app/dynos/:dyno/actions/stop", auth.Operate, stopDyno},

		{post, "/apps/:app/log-sessions", auth.View, createLogSession},

		// Capabilities: whoever has the URL may read (Heroku does the same).
		{get, "/streams/logs/:session", open, streamLogs},
		{get, "/streams/outputs/:output", open, streamOutput},
		{get, "/attach/:secret", open, attach},
	}
}
