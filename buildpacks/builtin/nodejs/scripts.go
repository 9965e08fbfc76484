package nodejs

import (
	"paas/buildpacks/builtin/classic"
)

// startScript is sourced by every dyno.
const startScript = `export PATH="$HOME/.heroku/node/bin:$HOME/.heroku/yarn/bin:$PATH:$HOME/bin:$HOME/node_modules/.bin"
export NODE_HOME="$HOME/.heroku/node"
export NODE_ENV="${NODE_ENV:-production}"
`

// pnpmScript keeps pnpm from installing the pruned dependencies again when it
// runs a script.
const pnpmScript = `export pnpm_config_verify_deps_before_run="${pnpm_config_verify_deps_before_run:-warn}"
`

// concurrencyScript suggests how many worker processes fit into a dyno's
// memory. Its file name is the same in all buildpacks, so the last one wins.
const concurrencyScript = `paas_memory_mb() {
  local file bytes mb
  for file in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; do
    if [ -r "$file" ]; then
      read -r bytes < "$file"
      case "$bytes" in
        '' | *[!0-9]*) continue ;;
      esac
      mb=$((bytes / 1048576))
      if [ "$mb" -gt 0 ] && [ "$mb" -le 129024 ]; then
        echo "$mb"
        return
      fi
    fi
  done
  echo 512
}

export MEMORY_AVAILABLE="${MEMORY_AVAILABLE:-$(paas_memory_mb)}"
if [ -z "${WEB_MEMORY:-}" ]; then
  if [ "$MEMORY_AVAILABLE" -gt 16384 ]; then WEB_MEMORY=2048; else WEB_MEMORY=512; fi
fi
export WEB_MEMORY
if [ -z "${WEB_CONCURRENCY:-}" ] || [ -n "${WEB_CONCURRENCY_SET_BY:-}" ]; then
  WEB_CONCURRENCY=$((MEMORY_AVAILABLE / WEB_MEMORY))
  if [ "$WEB_CONCURRENCY" -lt 1 ]; then
    WEB_CONCURRENCY=1
  elif [ "$WEB_CONCURRENCY" -gt 200 ]; then
    echo "Could not determine a reasonable value for WEB_CONCURRENCY: WEB_MEMORY is $WEB_MEMORY MB. Using 1." >&2
    WEB_CONCURRENCY=1
  fi
  export WEB_CONCURRENCY WEB_CONCURRENCY_SET_BY="heroku/nodejs"
fi
if [ "${LOG_CONCURRENCY:-}" = "true" ]; then
  echo "Detected $MEMORY_AVAILABLE MB available memory, $WEB_MEMORY MB limit per process (WEB_MEMORY)"
  echo "Recommending WEB_CONCURRENCY=$WEB_CONCURRENCY"
fi
unset -f paas_memory_mb
`

// writeScripts leaves the scripts for dynos and for the next buildpack.
func (b *build) writeScripts() error {
	start := startScript
	if b.manager == pnpm && b.atLeast("11.0.0") {
		start += pnpmScript
	}
	if err := b.ProfileScript("nodejs.sh", start); err != nil {
		return err
	}
	if err := b.ProfileScript("WEB_CONCURRENCY.sh", concurrencyScript); err != nil {
		return err
	}
	dir := b.BuildDir
	return b.Export("export PATH=" + classic.Quote(dir+"/.heroku/node/bin:"+dir+"/.heroku/yarn/bin") + ":\"$PATH\":" +
		classic.Quote(dir+"/node_modules/.bin") + "\n" +
		"export npm_config_nodedir=" + classic.Quote(b.Env.Get("npm_config_nodedir")) + "\n" +
		"export NODE_HOME=" + classic.Quote(dir+"/.heroku/node") + "\n" +
		"export NODE_OPTIONS=\"${NODE_OPTIONS:-" + buildMemory + "}\"\n")
}
