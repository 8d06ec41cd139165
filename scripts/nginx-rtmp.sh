#!/usr/bin/env bash
# Becomes the nginx-rtmp that the distribution packages, to be compared with.
#
#   scripts/nginx-rtmp.sh IP:PORT FOLDER     configuration and logs go to the folder
#   scripts/nginx-rtmp.sh --installed        exit code 0 if it is (Debian: libnginx-mod-rtmp)
#
# Everything is at the module's defaults but for what makes comparisons fair: one process, room for
# the connections.
set -euo pipefail

help() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }

nginx=$(PATH="$PATH:/usr/sbin" command -v nginx || true)
module=
for found in /usr/lib/nginx/modules /usr/lib64/nginx/modules /usr/lib/*/nginx/modules; do
    if [ -e "$found/ngx_rtmp_module.so" ]; then module="$found/ngx_rtmp_module.so"; fi
done
case "$#,${1:-}" in
    1,--installed) [ -n "$nginx" ] && [ -n "$module" ] && exit 0 || exit 1 ;;
    1,--help | 1,-h) help && exit 0 ;;
    2,*:*) ;;
    *) help >&2 && exit 2 ;;
esac
[ -n "$nginx" ] && [ -n "$module" ] || { echo "nginx-rtmp.sh: not installed" >&2 && exit 1; }
listen=$1
folder=$(mkdir -p "$2" && cd "$2" && pwd)
cat > "$folder/nginx.conf" <<CONF
load_module $module;
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 20000;
error_log $folder/error.log warn;
pid $folder/nginx.pid;
events { worker_connections 19000; }
rtmp { server { listen $listen; application live { live on; } } }
CONF
exec "$nginx" -e "$folder/error.log" -p "$folder" -c "$folder/nginx.conf" 2> "$folder/stderr.log"
