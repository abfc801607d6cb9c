#!/usr/bin/env bash
# Private memory (RssAnon) while a teacher trains from packed files of one source whose training
# images are repeated. A mapped file's pages belong to the kernel's cache: they are RssFile, and
# can be dropped at any time.
#     benchmarks/packed_memory.sh BUILD SOURCE [REPEAT...]
# SECONDS_EACH (60) of training are watched, each file is removed again.
set -euo pipefail
build=${1:?usage: benchmarks/packed_memory.sh BUILD SOURCE [REPEAT...]}
source=${2:?usage: benchmarks/packed_memory.sh BUILD SOURCE [REPEAT...]}
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

watched() { # peak of a field of /proc/PID/status while the process lives, in MB
  local peak=0 now
  while now=$(awk -v field="$2:" '$1 == field {print $2}' "/proc/$1/status" 2>/dev/null) &&
    [ -n "$now" ]; do
    [ "$now" -gt "$peak" ] && peak=$now
    sleep 0.2
  done
  echo $((peak / 1024))
}

for repeat in "${@:-1 100}"; do
  for times in $repeat; do
    "$build/retort" pack "$source" "$work/set.pack" --repeat "$times" >/dev/null 2>&1
    timeout "${SECONDS_EACH:-60}" "$build/retort" squeeze --data "$work/set.pack" \
      --network convnet-w8-bn --epochs 1 --batch-size 256 --threads 1 --out "$work/teacher" \
      >/dev/null 2>&1 &
    sleep 1
    training=$(pgrep -P $! || echo $!)
    anon=$(watched "$training" RssAnon)
    echo "file of $(du -m "$work/set.pack" | cut -f1) MB: at most $anon MB of private memory"
    rm -rf "$work/set.pack" "$work/teacher"
  done
done
