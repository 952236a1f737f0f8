# shellcheck shell=bash
# Sourced by run, test, install and .ci/run: says what happens, and installs what is missing. Does nothing by itself.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# How release programs are built everywhere: run and install share one build, and it runs without a Swift toolchain.
# Exclusivity of memory access is checked at run time in debug builds and tests alone: in a release build the checks were
# 9,100 of 48,300 instructions of a cache.get (utils/bench/instructions).
release_flags=(
    --package-path "$project" -c release --static-swift-stdlib --product spydercache
    -Xswiftc -enforce-exclusivity=unchecked
)

# All messages go to stderr: stdout belongs to the node's log lines and to test results.
say() { printf '==> %s\n' "$*" >&2; }

# die STATUS MESSAGE: one line, then the end (sysexits.h: 64 usage, 69 unavailable, 70 our own fault, 78 configuration).
die() {
    printf '%s: %s\n' "${0##*/}" "$2" >&2
    exit "$1"
}

# as_root COMMAND...: runs it with root's rights, by sudo where needed; never asks for a password without a terminal.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif ! command -v sudo >/dev/null; then
        die 69 "this needs root's rights and there is no sudo; as root: $*"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@" || die 69 "this needs root's rights; as root: $*"
    fi
}

# need_packages NAME...: installs the Debian packages that are missing; elsewhere it only says what is needed.
need_packages() {
    local name missing=()
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        say "not a Debian system: please have what these Debian packages hold: $*"
        return 0
    fi
    for name in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null || true)" = installed ] || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]} (apt-get)"
    as_root apt-get -q -o DPkg::Lock::Timeout=120 update >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 \
        install --no-install-recommends "${missing[@]}" >&2 </dev/null ||
        die 69 "could not install ${missing[*]}"
}

# need_swift: Swift 6.2 or newer, the first with InlineArray and Span.
need_swift() {
    local how="get it from https://www.swift.org/install/linux/ and have 'swift' in PATH" version
    command -v swift >/dev/null || die 69 "Swift is missing: $how"
    version=$(swift --version 2>/dev/null | grep -oE 'Swift version [0-9]+\.[0-9]+' | grep -oE '[0-9.]+$' || true)
    [ "$(printf '%s\n' 6.2 "${version:-0}" | sort -V | head -n 1)" = 6.2 ] ||
        die 69 "Swift ${version:-of no known version} is too old, 6.2 or newer is needed: $how"
}

# build_release: builds the release program where something changed, and sets `program` to its path.
build_release() {
    program=$(swift build "${release_flags[@]}" --show-bin-path)/spydercache
    if [ -e "$program" ]; then
        say "building spydercache where something changed (release)"
    else
        say "building spydercache (release; the first time takes some minutes)"
    fi
    swift build "${release_flags[@]}" >&2 || die 70 "spydercache could not be built; the reason is above"
}
