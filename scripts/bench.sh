#!/usr/bin/env bash
# Runs the benchmarks, each beside plain eager PyTorch doing the same step in the same minute:
# absolute times mean nothing on shared machines, ratios do.
#     scripts/bench.sh BUILD
set -euo pipefail
build=${1:?usage: scripts/bench.sh BUILD}
for program in "$build"/benchmarks/*_benchmark; do
  "$program" --benchmark_min_time=1
done
benchmarks/trajectory_memory.sh "$build" 10
for python in "${RETORT_PYTHON:-/usr/bin/python3}" python3; do
  if "$python" -c 'import torch' 2>/dev/null; then
    for work in dm train; do
      "$python" benchmarks/eager_torch.py "$work" --ipc 10 --iters 3
    done
    exit 0
  fi
done
echo "eager PyTorch: skipped, no python3 with torch"
