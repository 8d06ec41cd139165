#!/usr/bin/env bash
# OBS Studio publishes to a Corecast of its own; ffprobe and ffmpeg check what arrives.
#
#   scripts/interop-obs.sh                    builds and starts Corecast on a free loopback port
#   RTMP_URL=rtmp://127.0.0.1:1935/live scripts/interop-obs.sh        uses a running server
#
# Outside the test run: OBS draws with a software renderer under Xvfb, which takes both cores.
# Installs what is missing on Debian and Ubuntu. Traffic stays on the loopback address.
set -euo pipefail
cd "$(dirname "$0")/.."
exec < /dev/null

needs=(obs:obs-studio Xvfb:xvfb ffmpeg:ffmpeg ffprobe:ffmpeg)
seconds="${SECONDS_ON_AIR:-15}"
key="obs"
target="${CARGO_TARGET_DIR:-target}"
work="$PWD/$target/tmp/interop-obs"
case $target in /*) work="$target/tmp/interop-obs" ;; esac
children=()

say() { printf '%s\n' "interop-obs.sh: $*"; }

fail() {
    say "FAILED: $*"
    for log in server obs xvfb ffprobe ffmpeg; do
        [ -s "$work/$log.log" ] && { say "end of $log.log"; tail -n 15 "$work/$log.log"; }
    done
    exit 1
}

finish() {
    local id
    for id in "${children[@]}"; do
        kill "$id" 2> /dev/null || true
    done
    sleep 0.5
    for id in "${children[@]}"; do
        kill -9 "$id" 2> /dev/null || true
    done
}
trap finish EXIT

install_missing() {
    local need packages=()
    for need in "${needs[@]}"; do
        command -v "${need%%:*}" > /dev/null || packages+=("${need##*:}")
    done
    # OBS needs an OpenGL 3.3 renderer; Mesa's works without a graphics card.
    compgen -G '/usr/lib/*/dri/swrast_dri.so' > /dev/null || packages+=(libgl1-mesa-dri)
    [ "${#packages[@]}" -gt 0 ] || return 0
    command -v apt-get > /dev/null || fail "install by hand: ${packages[*]} (Debian's names)"
    local root=()
    [ "$(id -u)" = 0 ] || root=(sudo -n)
    local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y
        -o DPkg::Lock::Timeout=120)
    say "installing ${packages[*]}"
    "${apt[@]}" update > "$work/apt.log" 2>&1 || true
    "${apt[@]}" install --no-install-recommends "${packages[@]}" >> "$work/apt.log" 2>&1 \
        || { tail -n 10 "$work/apt.log"; fail "apt-get could not install ${packages[*]}"; }
}

start_server() {
    cargo build --quiet
    local attempt port
    for attempt in 1 2 3; do
        port=$((20000 + (RANDOM % 10000)))
        "$target/debug/corecast" --rtmp "127.0.0.1:$port" --workers 2 --play-wait 60s \
            > "$work/server.log" 2>&1 &
        children+=($!)
        sleep 1
        if kill -0 "${children[-1]}" 2> /dev/null; then
            url="rtmp://127.0.0.1:$port/live"
            return 0
        fi
        say "no luck with port $port (attempt $attempt)"
    done
    fail "the server does not start"
}

# A profile with a custom RTMP server and x264, and a scene that plays a moving test picture with
# a tone.
write_profile() {
    ffmpeg -v error -y -f lavfi -i testsrc2=s=640x360:r=30 -f lavfi -i sine=f=440:r=48000 -t 10 \
        -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac "$work/programme.mp4"
    local config="$work/home/.config/obs-studio"
    mkdir -p "$config/basic/profiles/corecast" "$config/basic/scenes"
    cat > "$config/global.ini" << 'INI'
[General]
FirstRun=true
LastVersion=486539265
EnableAutoUpdates=false
[Basic]
Profile=corecast
ProfileDir=corecast
SceneCollection=corecast
SceneCollectionFile=corecast
INI
    cat > "$config/basic/profiles/corecast/basic.ini" << 'INI'
[General]
Name=corecast
[Output]
Mode=Simple
Reconnect=true
RetryDelay=1
[SimpleOutput]
VBitrate=600
ABitrate=96
StreamEncoder=x264
Preset=ultrafast
[Video]
BaseCX=640
BaseCY=360
OutputCX=640
OutputCY=360
FPSType=0
FPSCommon=30
[Audio]
SampleRate=48000
ChannelSetup=Stereo
INI
    cat > "$config/basic/profiles/corecast/service.json" << JSON
{"type": "rtmp_custom", "settings": {"server": "$url", "key": "$key", "use_auth": false, "bwtest": false}}
JSON
    cat > "$config/basic/scenes/corecast.json" << JSON
{"name": "corecast", "current_scene": "Scene", "current_program_scene": "Scene",
 "scene_order": [{"name": "Scene"}],
 "sources": [
  {"id": "ffmpeg_source", "versioned_id": "ffmpeg_source", "name": "Programme",
   "settings": {"local_file": "$work/programme.mp4", "looping": true}},
  {"id": "scene", "versioned_id": "scene", "name": "Scene",
   "settings": {"id_counter": 1, "custom_size": false, "items": [
    {"name": "Programme", "id": 1, "visible": true, "locked": false,
     "pos": {"x": 0.0, "y": 0.0}, "scale": {"x": 1.0, "y": 1.0}, "rot": 0.0,
     "align": 5, "bounds_type": 0, "bounds": {"x": 0.0, "y": 0.0}}]}}]}
JSON
}

start_obs() {
    Xvfb -displayfd 3 -screen 0 1024x768x24 +extension GLX -nolisten tcp \
        3> "$work/display" > "$work/xvfb.log" 2>&1 &
    children+=($!)
    local wait
    for wait in $(seq 50); do
        [ -s "$work/display" ] && break
        sleep 0.1
    done
    [ -s "$work/display" ] || fail "Xvfb does not start"
    mkdir -p -m 700 "$work/run"
    env -u WAYLAND_DISPLAY HOME="$work/home" XDG_CONFIG_HOME="$work/home/.config" \
        XDG_RUNTIME_DIR="$work/run" DISPLAY=":$(cat "$work/display")" LIBGL_ALWAYS_SOFTWARE=1 \
        QT_QPA_PLATFORM=xcb obs --multi --profile corecast --collection corecast \
        --startstreaming --disable-updater > "$work/obs.log" 2>&1 &
    obs=$!
    children+=("$obs")
}

# Watches with two players at once: ffmpeg records, ffprobe counts packets.
watch_stream() {
    timeout 90 ffmpeg -v warning -y -i "$url/$key" -map 0 -c copy -t "$seconds" \
        "$work/obs.flv" > "$work/ffmpeg.log" 2>&1 &
    local recorder=$!
    timeout 90 ffprobe -v warning -of compact=p=0 -show_entries \
        stream=codec_name,width,height,sample_rate,channels,nb_read_packets -count_packets \
        -read_intervals "%+5" "$url/$key" > "$work/streams" 2> "$work/ffprobe.log" &
    local prober=$!
    wait "$recorder" || fail "ffmpeg recorded nothing"
    wait "$prober" || fail "ffprobe found nothing"
}

judge() {
    cat "$work/streams"
    grep -q 'codec_name=h264|width=640|height=360' "$work/streams" || fail "no H.264 640x360"
    grep -q 'codec_name=aac' "$work/streams" || fail "no AAC"
    local errors frames
    errors=$(ffmpeg -v error -i "$work/obs.flv" -f null - 2>&1)
    [ -z "$errors" ] || fail "the recording does not decode cleanly: $errors"
    frames=$(ffprobe -v error -select_streams v -count_frames -show_entries \
        stream=nb_read_frames -of csv=p=0 "$work/obs.flv")
    [ "$frames" -ge $((seconds * 20)) ] || fail "only $frames frames in $seconds seconds"
    ffmpeg -v error -y -ss 5 -i "$work/obs.flv" -frames:v 1 "$work/obs.png"
    # A test picture compresses badly; a black or flat one is a few hundred bytes.
    [ "$(stat -c %s "$work/obs.png")" -gt 5000 ] || fail "the picture is flat: $work/obs.png"
    say "passed: $(obs --version | head -n 1) sent H.264 and AAC; $frames frames of $seconds s"
    say "decode without a complaint; a picture is at $work/obs.png"
}

rm -rf "$work"
mkdir -p "$work"
install_missing
url="${RTMP_URL:-}"
[ -n "$url" ] || start_server
write_profile
start_obs
watch_stream
judge
