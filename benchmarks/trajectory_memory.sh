#!/usr/bin/env bash
# How much memory and time does a step of trajectory matching take, and how do both grow with the
# inner steps? ConvNet of width 128, 10 images per class, minibatches of 100 at 3x32x32; whole
# processes, beside plain eager PyTorch with its one graph over all steps.
#     benchmarks/trajectory_memory.sh BUILD [INNER_STEPS...]
set -euo pipefail
build=${1:?usage: benchmarks/trajectory_memory.sh BUILD [INNER_STEPS...]}
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$build/retort" experts --data shapes --network convnet --count 1 --epochs 2 --out "$work/experts" >/dev/null
for steps in "${@:-10 100}"; do
  for n in $steps; do
    "$build/retort" distill --method mtt --data shapes --network convnet --experts "$work/experts" \
      --images-per-class 10 --synthetic-batch 100 --inner-steps "$n" --expert-epochs 1 \
      --max-start-epoch 1 --iterations 1 --json --out "$work/$n" 2>/dev/null |
      awk -v n="$n" -F'[:,]' '/peak_memory_bytes/ {m = $2} /"seconds"/ {s = $2}
        END {printf "retort mtt, N = %d: %.2f s a step of all %d, peak %.0f MB\n", n, s, n, m / 1048576}'
  done
done
for python in "${RETORT_PYTHON:-/usr/bin/python3}" python3; do
  if "$python" -c 'import torch' 2>/dev/null; then
    exec "$python" benchmarks/eager_torch.py mtt --ipc 10 --inner 10 --batch-syn 100 --iters 1
  fi
done
echo "eager PyTorch: skipped, no python3 with torch"
