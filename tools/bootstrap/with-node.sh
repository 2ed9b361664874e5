#!/bin/sh
# Runs a command with the right Node first in PATH and the locked packages installed:
#   with-node.sh node cli/main.ts up
# Used by bin/millrace and by every npm script, so that a fresh clone needs no other step. A machine
# needs a POSIX shell, git and npm with any Node: Node 24 itself is a locked optional package
# (docs/adr/0008-bootstrap-from-a-locked-node-package.md). When everything is in place this costs a few
# milliseconds and starts no npm. The command replaces this process; the working directory is kept.
set -eu

node_minimum='24.12'
install_wait_seconds=600
root=$(cd "$(dirname "$0")/../.." && pwd -P)
modules=$root/node_modules
stamp_file=$modules/.millrace-stamp
cache=$root/.cache
lock=$cache/install.lock
npm_log=$cache/npm-ci.log

say() { printf 'millrace: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 69 # EX_UNAVAILABLE: something the machine must provide is missing.
}

# What is installed is what the lockfile says, for this kind of machine.
wanted_stamp() {
  printf '%s %s\n' "$(cksum <"$root/package-lock.json")" "$(uname -sm)"
}

is_installed() {
  [ -f "$stamp_file" ] && [ "$(cat "$stamp_file")" = "$wanted" ]
}

# An `npm install` or `npm ci` done by hand leaves no stamp, but npm's own record of the tree.
adopt_hand_install() {
  record=$modules/.package-lock.json
  [ ! -f "$stamp_file" ] && [ -f "$record" ] || return 1
  [ ! "$root/package-lock.json" -nt "$record" ] || return 1
  printf '%s\n' "$wanted" >"$stamp_file" 2>/dev/null
}

# The lock is a symlink to the holder's process id: made and filled in one step. A lock whose holder
# is gone is removed by exactly one waiter, the one that makes the `.steal.<pid>` mark.
take_lock() {
  mkdir -p "$cache" || die "Cannot write to $root, needed to install packages"
  waited=0
  while ! ln -s "$$" "$lock" 2>/dev/null; do
    holder=$(readlink "$lock" 2>/dev/null || true)
    if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
      if ln -s "$$" "$lock.steal.$holder" 2>/dev/null; then
        [ "$(readlink "$lock" 2>/dev/null || true)" != "$holder" ] || rm -f "$lock"
        rm -f "$lock.steal.$holder"
        continue
      fi
    fi
    [ "$waited" -gt 0 ] || say "another start is installing packages, waiting for it"
    waited=$((waited + 1))
    [ "$waited" -le "$install_wait_seconds" ] ||
      die "Cannot install packages: $lock is held by process $holder, remove the file if that process is not an installation"
    sleep 1
  done
}

install_packages() {
  command -v npm >/dev/null 2>&1 || die 'Cannot install packages: npm is not on PATH; install Node.js with npm'
  take_lock
  npm_pid=
  trap 'rm -f "$lock"' EXIT
  trap '[ -z "$npm_pid" ] || kill "$npm_pid" 2>/dev/null || true; rm -f "$lock"; exit 130' INT HUP
  trap '[ -z "$npm_pid" ] || kill "$npm_pid" 2>/dev/null || true; rm -f "$lock"; exit 143' TERM
  if ! is_installed; then # Another start may have done it while this one waited.
    say 'installing packages (npm ci; once after each change of package-lock.json)'
    run_npm_ci || explain_failed_install
    printf '%s\n' "$wanted" >"$stamp_file"
  fi
  rm -f "$lock"
  trap - EXIT INT HUP TERM
}

# No package of ours needs an install script, so none runs. Development packages are always there:
# one kind of tree, one stamp. The old Node that runs npm here is not the Node that runs Millrace, so
# `engines` must not stop it. npm as a child of another project's npm script would work in that one.
run_npm_ci() {
  (
    cd "$root"
    unset npm_config_local_prefix npm_config_prefix npm_package_json INIT_CWD
    exec npm ci --ignore-scripts --engine-strict=false --include=dev --include=optional \
      --fetch-retry-mintimeout=2000 --fetch-retry-maxtimeout=10000 \
      --no-audit --no-fund --no-progress --loglevel=error
  ) </dev/null >"$npm_log" 2>&1 &
  npm_pid=$!
  wait "$npm_pid"
}

explain_failed_install() {
  tail -n 20 "$npm_log" >&2
  if grep -q -E 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET|network' "$npm_log"; then
    die "Cannot install packages: the npm registry cannot be reached; check the network, and 'npm config get registry' (full log: $npm_log)"
  fi
  die "Cannot install packages: npm ci failed, see above (full log: $npm_log)"
}

# True when `$1` runs and is new enough for TypeScript sources without a flag.
is_node_fit() {
  version=$("$1" --version 2>/dev/null) || return 1
  version=${version#v}
  major=${version%%.*}
  minor=${version#*.}
  minor=${minor%%.*}
  [ "$major" -gt "${node_minimum%.*}" ] ||
    { [ "$major" -eq "${node_minimum%.*}" ] && [ "$minor" -ge "${node_minimum#*.}" ]; }
}

# Sets `node_folder` to the first fit Node: PATH first, then the locked package of this platform.
find_node() {
  node_folder=
  if on_path=$(command -v node 2>/dev/null) && is_node_fit "$on_path"; then
    node_folder=$(dirname "$on_path")
    return 0
  fi
  for bundled in "$modules"/node-*/bin; do
    if [ -x "$bundled/node" ] && is_node_fit "$bundled/node"; then
      node_folder=$bundled
      return 0
    fi
  done
  return 1
}

wanted=$(wanted_stamp)
is_installed || adopt_hand_install || install_packages
if ! find_node; then
  rm -f "$stamp_file" # An optional package that failed to download is fetched by the next start.
  die "Cannot find Node $node_minimum or newer: none on PATH, and no Node package runs on $(uname -sm) (Linux with glibc on x64 or arm64 has one); install Node 24 and put it on PATH"
fi

case ${NODE_COMPILE_CACHE:+set} in
  set) ;;
  *)
    if [ -w "$modules" ]; then
      NODE_COMPILE_CACHE=$modules/.cache/compile
    else
      NODE_COMPILE_CACHE=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/millrace/compile
    fi
    export NODE_COMPILE_CACHE
    ;;
esac
PATH=$node_folder:$PATH
export PATH
exec "$@"
