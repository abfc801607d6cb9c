#!/usr/bin/env bash
# Runs every fuzz target for a while, starting from its stored corpus.
#     scripts/fuzz.sh BUILD [SECONDS]
set -euo pipefail
build=${1:?usage: scripts/fuzz.sh BUILD [SECONDS]}
seconds=${2:-60}
shopt -s nullglob
targets=("$build"/tests/fuzz/fuzz_*)
[[ ${#targets[@]} -gt 0 ]] || { echo "fuzz.sh: no targets in $build/tests/fuzz: build the fuzz preset first" >&2; exit 1; }
[[ -d /dev/shm ]] && export TMPDIR=/dev/shm # some targets write their input to a file each time
for target in "${targets[@]}"; do
  name=$(basename "$target")
  name=${name#fuzz_}
  found=$build/found/$name
  mkdir -p "$found"
  corpus=tests/fuzz/corpus/$name
  echo "== $name, $seconds s"
  "$target" -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 \
    -verbosity=0 -print_funcs=0 -artifact_prefix="$found/crash-" "$found" $([[ -d $corpus ]] && echo "$corpus")
done
