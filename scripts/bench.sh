#!/usr/bin/env bash
# Runs the benchmarks: the calls on a network, its convolutions alone, and whole steps beside plain
# PyTorch doing the same in turn: absolute times mean nothing on shared machines, ratios do.
#     scripts/bench.sh BUILD [PAGE]     about an hour on two cores; the page is drawn to PAGE
set -euo pipefail
build=${1:?usage: scripts/bench.sh BUILD [PAGE]}
page=${2:-$build/speed.html}
"$build/benchmarks/nets_benchmark" --benchmark_min_time=1
[[ ! -x $build/benchmarks/winograd ]] || "$build/benchmarks/winograd"
benchmarks/trajectory_memory.sh "$build" 10
for python in "${RETORT_PYTHON:-/usr/bin/python3}" python3; do
  if "$python" -c 'import torch' 2>/dev/null; then
    "$build/benchmarks/ratios" "$build" --python "$python" --growth --page "$page"
    echo "drawn: $page"
    exit 0
  fi
done
echo "eager PyTorch: skipped, no python3 with torch"
