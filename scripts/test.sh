#!/usr/bin/env bash
# Runs every test of Corecast, the interop matrix with the real tools included.
#
#   scripts/test.sh              install what is missing (Debian, Ubuntu), then run all tests
#   scripts/test.sh TEST...      the same, arguments go to `cargo test`
#   CORECAST_INTEROP=skip scripts/test.sh      without the real tools
#
# Asks nothing, needs no standard input, and sends traffic to the loopback address only.
set -euo pipefail
cd "$(dirname "$0")/.."
exec < /dev/null

# command:package pairs; a package is installed only when its command or file is missing.
needs=(
    cc:gcc
    ffmpeg:ffmpeg
    ffprobe:ffmpeg
    rtmpdump:rtmpdump
    gst-launch-1.0:gstreamer1.0-tools
    mpv:mpv
    cvlc:vlc-bin
    nginx:nginx
    python3:python3
    setpriv:util-linux
    valgrind:valgrind
    ip:iproute2
    # The plugins of GStreamer, VLC and nginx that the matrix loads.
    */gstreamer-1.0/libgstrtmp2.so:gstreamer1.0-plugins-bad
    */gstreamer-1.0/libgstrtmp.so:gstreamer1.0-plugins-bad
    */gstreamer-1.0/libgstflv.so:gstreamer1.0-plugins-good
    */gstreamer-1.0/libgstaudiotestsrc.so:gstreamer1.0-plugins-base
    */gstreamer-1.0/libgstx264.so:gstreamer1.0-plugins-ugly
    */gstreamer-1.0/libgstlibav.so:gstreamer1.0-libav
    */vlc/plugins/access/libavio_plugin.so:vlc-plugin-base
    */nginx/modules/ngx_rtmp_module.so:libnginx-mod-rtmp
)
venv="${CARGO_TARGET_DIR:-target}/interop-venv"

say() { printf '%s\n' "test.sh: $*"; }

is_here() {
    case $1 in
        # shellcheck disable=SC2086 # the pattern is meant to expand
        */*) compgen -G "/usr/lib/${1#\*/}" > /dev/null || compgen -G "/usr/lib/$1" > /dev/null ;;
        *) command -v "$1" > /dev/null || [ -x "/usr/sbin/$1" ] ;;
    esac
}

missing_packages() {
    local need
    for need in "${needs[@]}"; do
        is_here "${need%%:*}" || printf '%s\n' "${need##*:}"
    done | sort -u
    # A Python may come without the module that makes virtual environments.
    [ -n "$(newest_ffmpeg)" ] || python3 -c 'import ensurepip, venv' 2> /dev/null \
        || printf '%s\n' python3-venv
}

newest_ffmpeg() {
    compgen -G "$venv/lib/python3*/site-packages/imageio_ffmpeg/binaries/ffmpeg-*" || true
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_packages() {
    local packages=("$@")
    if ! command -v apt-get > /dev/null; then
        say "missing: ${packages[*]}"
        say "these are Debian's package names; install the same programs with this system's own"
        say "package manager (nginx with its RTMP module, GStreamer with libav and x264),"
        say "or leave the real tools out: CORECAST_INTEROP=skip scripts/test.sh"
        exit 1
    fi
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2> /dev/null; then
        say "missing: ${packages[*]}"
        say "neither root nor sudo without a password here; run once by hand:"
        say "  sudo apt-get install --no-install-recommends ${packages[*]}"
        exit 1
    fi
    say "installing ${packages[*]}"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120)
    local log="${CARGO_TARGET_DIR:-target}/interop-apt.log"
    as_root "${apt[@]}" update > "$log" 2>&1 || say "apt-get update failed, trying with the old lists"
    # nginx is only a tool of the tests: its package must not start a web server on this machine.
    local no_start=0
    if [ ! -e /usr/sbin/policy-rc.d ] && [ ! -d /run/systemd/system ]; then
        no_start=1
        printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d > /dev/null
        as_root chmod 755 /usr/sbin/policy-rc.d
    fi
    local good=0
    as_root "${apt[@]}" install --no-install-recommends "${packages[@]}" >> "$log" 2>&1 || good=$?
    [ "$no_start" = 0 ] || as_root rm -f /usr/sbin/policy-rc.d
    if [ "$good" != 0 ]; then
        tail -n 15 "$log"
        say "apt-get could not install: ${packages[*]} (whole output: $log)"
        exit 1
    fi
}

make_venv() {
    [ -z "$(newest_ffmpeg)" ] || return 0
    say "fetching the newest ffmpeg (imageio-ffmpeg) into $venv"
    if ! python3 -m venv "$venv" \
        || ! "$venv/bin/pip" install -q --disable-pip-version-check --no-input imageio-ffmpeg \
        || [ -z "$(newest_ffmpeg)" ]; then
        say "the newest ffmpeg could not be had from PyPI (package imageio-ffmpeg);"
        say "put one at \$CORECAST_NEW_FFMPEG, or leave the real tools out: CORECAST_INTEROP=skip"
        exit 1
    fi
}

if ! command -v cargo > /dev/null; then
    say "cargo is missing: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer (scripts/serve.sh does)"
    exit 1
fi
mkdir -p "${CARGO_TARGET_DIR:-target}"
if [ "${CORECAST_INTEROP:-}" = skip ]; then
    say "CORECAST_INTEROP=skip: the matrix with the real tools is left out"
else
    mapfile -t packages < <(missing_packages)
    [ "${#packages[@]}" = 0 ] || install_packages "${packages[@]}"
    mapfile -t packages < <(missing_packages)
    if [ "${#packages[@]}" != 0 ]; then
        say "still missing after the installation: ${packages[*]}"
        exit 1
    fi
    [ -n "${CORECAST_NEW_FFMPEG:-}" ] || make_venv
    say "the matrix of this run goes to ${CARGO_TARGET_DIR:-target}/tmp/interop/matrix.txt"
fi

exec cargo test --no-fail-fast "$@"
