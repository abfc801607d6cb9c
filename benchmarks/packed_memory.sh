#!/usr/bin/env bash
# Private memory (RssAnon) while a teacher trains from packed files: a small one, and the same
# training images repeated until it is as large as asked. A mapped file's pages belong to the
# kernel's cache: they are RssFile and can be dropped at any time.
#   benchmarks/packed_memory.sh RETORT SOURCE FOLDER [REPEAT]
# The files are removed afterwards, unless KEEP is set.
set -euo pipefail
retort=$1 source=$2 folder=$3 repeat=${4:-83}
batch=256
mkdir -p "$folder"

largest() { # peak of RssAnon of a process while it lives, in MB
  local peak=0 now
  while now=$(awk '/RssAnon/ {print $2}' "/proc/$1/status" 2>/dev/null) && [ -n "$now" ]; do
    [ "$now" -gt "$peak" ] && peak=$now
    sleep 0.2
  done
  echo $((peak / 1024))
}

for times in 1 "$repeat"; do
  file=$folder/times$times.pack
  "$retort" pack "$source" "$file" --repeat "$times" 2>/dev/null
  rm -rf "$folder/teacher"
  "$retort" squeeze --data "$file" --network convnet-w8-bn --epochs 1 --batch-size $batch \
    --threads 1 --out "$folder/teacher" 2>/dev/null >/dev/null &
  training=$!
  (sleep "${SECONDS_EACH:-60}"; kill "$training" 2>/dev/null) & watchdog=$!
  anon=$(largest $training)
  kill $watchdog 2>/dev/null || true
  wait "$training" || true
  echo "file $(du -m "$file" | cut -f1) MB: at most $anon MB of private memory"
  [ -n "${KEEP:-}" ] || rm -rf "$file" "$folder/teacher"
done
