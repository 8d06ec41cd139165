#!/bin/sh
# Builds and runs Corecast on a machine that may have neither a C compiler nor Rust.
#
#   scripts/serve.sh [flags of corecast]      e.g.  scripts/serve.sh --rtmp 0.0.0.0:1935
#
# Installs what is missing with the system's package manager (sudo when not root): a C compiler,
# and Rust as new as Cargo.toml's rust-version asks, from the system's packages when they are new
# enough, else by rustup. What is there already is used as it is.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'serve.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif has sudo; then sudo "$@"
    else die "not root and no sudo: run as root once: $*"
    fi
}

manager() {
    for name in apt-get dnf yum zypper pacman apk; do
        if has "$name"; then echo "$name"; return; fi
    done
}

lists_fresh=
# apt knows nothing on a fresh machine until it has fetched its lists.
refresh() {
    if [ -z "$lists_fresh" ] && has apt-get; then as_root apt-get update -qq; fi
    lists_fresh=1
}

install() {
    say "installing $*"
    refresh
    case $(manager) in
        apt-get)
            as_root env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y -qq --no-install-recommends "$@" >/dev/null ;;
        dnf) as_root dnf install -y -q "$@" ;;
        yum) as_root yum install -y -q "$@" ;;
        zypper) as_root zypper --non-interactive --quiet install "$@" ;;
        pacman) as_root pacman -Sy --needed --noconfirm "$@" ;;
        apk) as_root apk add --quiet "$@" ;;
        *) die "no known package manager: please install $* yourself and start again" ;;
    esac
}

# The version of a package that the package manager would install, or nothing.
offered() {
    case $(manager) in
        apt-get) apt-cache policy "$1" | awk '/Candidate:/ && $2 != "(none)" { print $2 }' ;;
        dnf | yum) "$(manager)" -q info "$1" 2>/dev/null | awk '/^Version/ { print $3; exit }' ;;
        zypper) zypper -q info "$1" 2>/dev/null | awk '/^Version/ { print $3; exit }' ;;
        pacman) pacman -Si "$1" 2>/dev/null | awk '/^Version/ { print $3; exit }' ;;
        apk) apk policy "$1" 2>/dev/null | awk 'NR == 2 { sub(":", "", $1); print $1 }' ;;
    esac
}

# Whether version $1 is at least version $2.
at_least() {
    [ -n "$1" ] && [ "$(printf '%s\n%s\n' "$2" "${1#*:}" | sort -V | head -n 1)" = "$2" ]
}

rust_is_ready() {
    has cargo && at_least "$(rustc --version 2>/dev/null | awk '{ print $2 }')" "$wanted"
}

by_rustup() {
    rustup toolchain install stable --profile minimal --no-self-update
    # Chosen for this run only: the user's default toolchain stays what it is.
    export RUSTUP_TOOLCHAIN=stable
}

wanted=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml)
[ -n "$wanted" ] || die "no rust-version in Cargo.toml"
PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
export PATH

# Rust links with `cc`; the allocator and the cryptography are C.
if ! has cc; then
    case $(manager) in
        apt-get) install gcc libc6-dev ;;
        apk) install gcc musl-dev ;;
        dnf | yum | zypper) install gcc glibc-devel ;;
        *) install gcc ;;
    esac
fi

if ! rust_is_ready; then
    refresh
    case $(manager) in
        apt-get) compiler=rustc builder=cargo ;;
        pacman) compiler=rust builder= ;; # one package for both
        *) compiler=rust builder=cargo ;;
    esac
    if has rustup; then
        by_rustup
    elif at_least "$(offered $compiler)" "$wanted"; then
        install $compiler $builder
    elif [ -n "$(offered rustup)" ]; then
        install rustup
        by_rustup
    else
        has curl || install curl ca-certificates
        say "installing Rust for $(id -un) by rustup's installer"
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
            sh -s -- -y --profile minimal --no-modify-path >&2
        hash -r
        export RUSTUP_TOOLCHAIN=stable
    fi
    rust_is_ready || die "Rust $wanted or newer is needed; found: $(rustc --version 2>&1 || true)"
fi

say "building with $(rustc --version)"
cargo build --release --locked --bin corecast
exec "${CARGO_TARGET_DIR:-target}/release/corecast" "$@"
