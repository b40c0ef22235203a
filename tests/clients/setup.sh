#!/bin/sh
# Installs what the client drivers need, node_modules and .venv beside this file, and the conformance runner in
# ../conformance, all from their locks.
# Quiet and quick when nothing has changed. Installs Node.js, Python and Chromium themselves only as root on Debian.
set -eu
cd "$(dirname "$0")"

main() {
    one_at_a_time
    install_tools
    install_node_modules .
    install_node_modules ../conformance
    install_venv
}

# Two test runs at once would remove each other's half-made folders.
one_at_a_time() {
    command -v flock >/dev/null || return 0
    exec 9<setup.sh
    flock 9
}

has_node() { command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null; }
has_python() { python3 -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }
has_chromium() { [ -n "${CHROMIUM:-}" ] || command -v chromium || command -v chromium-browser || command -v google-chrome || command -v google-chrome-stable; } >/dev/null
has_venv() { .venv/bin/python -c '' 2>/dev/null && cmp -s requirements.txt .venv/.installed-lock; }

install_tools() {
    has_node || apt_install nodejs npm
    has_venv || has_python || apt_install python3 python3-venv
    has_chromium || apt_install chromium
    has_node || stop "Node.js 20 or newer with npm is missing: install it from https://nodejs.org/en/download"
    has_chromium || stop "Chromium is missing: install it (Debian: chromium), or name its program in CHROMIUM"
    has_venv || has_python || stop "Python 3.10 or newer with venv is missing: install it from your system's packages (Debian: python3 python3-venv)"
}

apt_install() {
    [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null || return 0
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get update && quietly apt-get install -y --no-install-recommends "$@" || true
}

install_node_modules() {
    cmp -s "$1/package-lock.json" "$1/node_modules/.installed-lock" && return
    quietly npm ci --prefix "$1" --no-audit --no-fund --ignore-scripts || stop "npm ci failed in $(pwd)/$1"
    cp "$1/package-lock.json" "$1/node_modules/.installed-lock"
}

install_venv() {
    has_venv && return
    rm -rf .venv
    quietly python3 -m venv .venv || stop "python3 -m venv failed in $(pwd)"
    quietly .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt || stop "pip install failed in $(pwd)"
    cp requirements.txt .venv/.installed-lock
}

# Shows a command's output only when it fails.
quietly() {
    output=$(mktemp)
    if "$@" >"$output" 2>&1; then
        rm -f "$output"
    else
        cat "$output" >&2
        rm -f "$output"
        return 1
    fi
}

stop() {
    echo "tests/clients/setup.sh: $*" >&2
    exit 1
}

main "$@"
