#!/bin/sh
# Installs the programs that are needed besides Rust: tests/setup.sh tests | servers | check | bench | fuzz
# Quiet and quick when nothing has changed. System packages only as root on Debian and its like; elsewhere it prints in
# one line what is missing. Drivers and servers get their packages from their locks, into clients/, conformance/ and servers/.
set -eu
cd "$(dirname "$0")"

CARGO_DENY_VERSION=0.20.2
# Time limit of one installation, in seconds.
INSTALL_TIMEOUT=900

main() {
    one_at_a_time
    case "${1:-tests}" in
        tests) for_tests ;;
        servers) for_servers ;;
        check) for_check ;;
        bench) for_bench ;;
        fuzz) need has_cxx "a C++ compiler (Debian: g++)" g++ ;;
        *) stop "there is nothing to install for '$1': tests, servers, check, bench or fuzz" ;;
    esac
}

for_tests() {
    need has_node "Node.js 20 or newer with npm (https://nodejs.org/en/download)" nodejs npm
    has_venv clients/.venv clients/requirements.txt || need has_python "Python 3.11 or newer with venv (Debian: python3 python3-venv)" python3 python3-venv
    need has_chromium "Chromium (Debian: chromium; or name its program in CHROMIUM)" chromium
    need has_redis "redis-server 7 or newer (https://redis.io/docs/latest/operate/oss_and_stack/install/)" redis-server
    # Also tested where the system's packages have it: Debian from trixie on, or with bookworm-backports.
    on_path valkey-server || ! is_packaged valkey-server || apt_install valkey-server
    # Takes the internet away from the tests on the demo; without it they run with the internet.
    on_path ip || apt_install iproute2
    install_node_modules clients
    install_node_modules clients/command-lines
    install_node_modules conformance
    # The servers that `make servers` adds are devDependencies.
    install_node_modules servers --omit=dev
    install_venv clients/.venv clients/requirements.txt
}

# Every MCP server of servers/servers.json, after what `tests` installs.
for_servers() {
    for_tests
    [ -e servers/node_modules/.all ] || rm -f servers/node_modules/.installed-lock
    install_node_modules servers
    touch servers/node_modules/.all
    install_venv servers/.venv/mcp1 servers/requirements-mcp1.txt
    install_venv servers/.venv/fastmcp servers/requirements-fastmcp.txt
}

for_check() {
    has_cargo_deny && return
    quietly cargo install --quiet --locked cargo-deny --version "$CARGO_DENY_VERSION" ||
        stop "missing: cargo-deny (cargo install --locked cargo-deny --version $CARGO_DENY_VERSION)"
}

for_bench() {
    need "on_path nginx" "nginx" nginx
    need "on_path wrk" "wrk" wrk
    need "on_path h2load" "h2load (Debian: nghttp2-client)" nghttp2-client
    need "on_path taskset" "taskset (Debian: util-linux)" util-linux
    need "on_path valgrind" "valgrind" valgrind
    need "on_path redis-server" "redis-server" redis-server
}

# Concurrent test runs would remove each other's incomplete folders.
one_at_a_time() {
    command -v flock >/dev/null || return 0
    exec 9<setup.sh
    flock 9
}

# A check, the message if it still fails, and the Debian packages that provide what it needs.
need() {
    check=$1
    what=$2
    shift 2
    $check && return
    apt_install "$@"
    $check || stop "missing: $what"
}

# Debian keeps daemons in /usr/sbin, which is not in every path.
on_path() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }
has_node() { on_path npm && node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null; }
has_python() { python3 -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
has_chromium() { [ -n "${CHROMIUM:-}" ] || on_path chromium || on_path chromium-browser || on_path google-chrome || on_path google-chrome-stable; }
has_redis() { on_path redis-server; }
is_packaged() { on_path apt-cache && apt-cache policy "$1" | grep -q 'Candidate: [0-9]'; }
# Cargo also finds its subcommands in its own bin folder, which need not be in the path.
has_cargo_deny() { cargo deny --version >/dev/null 2>&1; }
has_cxx() { on_path c++; }
# Of an environment and its requirements.
has_venv() { "$1/bin/python" -c '' 2>/dev/null && cmp -s "$2" "$1/.installed-lock"; }

apt_install() {
    [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] && on_path apt-get || return 0
    export DEBIAN_FRONTEND=noninteractive
    # The tests start the servers themselves, each on its own port.
    export RUNLEVEL=1
    { quietly apt-get update && quietly apt-get install -y --no-install-recommends "$@"; } || true
}

# Of a folder; further arguments are npm's.
install_node_modules() {
    folder=$1
    shift
    cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed-lock" && return
    quietly bounded npm ci --prefix "$folder" --no-audit --no-fund --ignore-scripts "$@" || stop "npm ci failed in $(pwd)/$folder"
    cp "$folder/package-lock.json" "$folder/node_modules/.installed-lock"
}

install_venv() {
    has_venv "$1" "$2" && return
    rm -rf "$1"
    quietly python3 -m venv "$1" || stop "python3 -m venv failed in $(pwd)/$1"
    quietly bounded "$1/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$2" ||
        stop "pip install failed in $(pwd)/$1"
    cp "$2" "$1/.installed-lock"
}

# Ends an installation that hangs, where there is `timeout`.
bounded() {
    if on_path timeout; then timeout "$INSTALL_TIMEOUT" "$@"; else "$@"; fi
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
    echo "tests/setup.sh: $*" >&2
    exit 1
}

main "$@"
