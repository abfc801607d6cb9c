#!/usr/bin/env bash
# One command on a machine with a CUDA device: builds, times our steps beside plain PyTorch, runs the
# fast tests on the device, distils CIFAR-10 for as long as is left, and prints one table. Needs PyTorch
# (python3), CMake and ninja; no apt and no network.
#     scripts/gpu_check.sh --deps .deps --out gpu-check --seconds 600
#   --deps DIR     what `make deps-bundle` made; without it the system's libraries are used
#   --build DIR    take the programs of this build folder as they are, and build nothing
#   --out DIR      logs, runs and the table [gpu-check]; what is done there is not done again
#   --seconds N    of all steps together [600]
#   --device D     cuda, cuda:1, or cpu to rehearse [cuda]
#   --only "A B"   of machine, build, ratios, tests, dm, mtt
#   --rounds N     of the timing [3]      --iterations N of a timing [20]
#   --jobs N       processors [all]
# RETORT_DATA holds cifar-10-batches-bin (two training batches are enough) for dm and mtt.
set -uo pipefail
cd "$(dirname "$0")/.."
deps= build= out=gpu-check limit=600 device=cuda only="machine build ratios tests dm mtt"
rounds=3 iterations=20 jobs=$(nproc)
while (($#)); do
  case $1 in
    --deps) deps=$2 ;; --build) build=$2 ;; --out) out=$2 ;; --seconds) limit=$2 ;;
    --device) device=$2 ;; --only) only=$2 ;; --rounds) rounds=$2 ;;
    --iterations) iterations=$2 ;; --jobs) jobs=$2 ;;
    *) echo "gpu_check.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done
mkdir -p "$out"
out=$(realpath "$out")
prebuilt=$build
build=$(realpath -m "${build:-$out/build}")
python=${RETORT_PYTHON:-python3}
torch=$("$python" -c 'import torch, os; print(os.path.dirname(torch.__file__))') || exit 1
# Programs that were built beside another copy of the same PyTorch find this one.
export LD_LIBRARY_PATH=$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export RETORT_TEST_DEVICE=$device CUBLAS_WORKSPACE_CONFIG=:4096:8
retort=$build/retort
failed=()
# The suites that compute on a device, the longest first.
suites=(methods device cli train eval nets synthetic studies continual teachers trajectories augment
  losses optim)

left() { echo $((limit - SECONDS)); }

# row COLUMNS...: a line of the table, of the step that runs.
row() {
  local line="|" word
  for word in "$@"; do line+=" $word |"; done
  echo "$line" >>"$out/$name.rows"
  echo "$line"
}

# step NAME SECONDS: runs step_NAME unless it is done or time is up; its log is NAME.log.
step() {
  name=$1
  local seconds=$2 begin=$SECONDS code=0
  [[ " $only " == *" $name "* ]] || return 0
  if [[ -e $out/$name.done ]]; then
    echo "== $name: done before"
    return 0
  fi
  rm -f "$out/$name.rows"
  if (($(left) < 5)); then
    row "$name" "not run: no time left" ""
    failed+=("$name")
    return 0
  fi
  echo "== $name"
  end=$((SECONDS + (seconds < $(left) ? seconds : $(left))))
  "step_$name" >"$out/$name.log" 2>&1 || code=$?
  [[ -e $out/$name.rows ]] && cat "$out/$name.rows"
  if ((code)); then
    failed+=("$name")
    [[ $name == build && -s $out/build.errors ]] && cat "$out/build.errors"
    tail -n 25 "$out/$name.log"
    row "$name" "**failed** (exit $code)" "$((SECONDS - begin)) s"
  else
    touch "$out/$name.done"
    row "$name" "done" "$((SECONDS - begin)) s"
  fi
}

# run COMMAND...: no longer than the step has left.
run() {
  local seconds=$((end - SECONDS))
  timeout -k 5 $((seconds > 1 ? seconds : 1)) "$@"
}

step_machine() {
  if [[ $device == cuda* ]]; then
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader || return 1
    row machine "$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | head -1)" ""
  fi
  nproc
  "$python" -c 'import torch; print(torch.__version__, torch.version.cuda, torch.backends.cudnn.version())'
  row machine "PyTorch $("$python" -c 'import torch; print(torch.__version__)'), $(nproc) processors" ""
}

step_build() {
  if [[ $prebuilt ]]; then
    row build "taken from $prebuilt" ""
  else
    local how=(-DCMAKE_BUILD_TYPE=Release -DRETORT_BUILD_BENCHMARKS=ON -DRETORT_TORCH_ROOT="$torch")
    [[ $deps ]] && how+=(-DRETORT_DEPS="$(realpath "$deps")" -DRETORT_PARTS=OFF)
    run cmake -S . -B "$build" -G Ninja "${how[@]}" || return 1
    run ninja -C "$build" -k 0 -j "$jobs" retort_cli distillation_step "${suites[@]/%/_tests}"
    local code=$? errors
    errors=$(grep -c '^FAILED:' "$out/build.log")
    row build "$errors files do not build" ""
    grep -E -A 2 'error:|undefined reference' "$out/build.log" | head -n 60 >"$out/build.errors"
    ((code == 0)) || return $code
  fi
  run "$retort" --version
}

# A test program by itself, all but its slow cases, without the real data: a part of a set is not what
# its tests expect.
one_test() {
  local suite=$1 seconds=$2 filter=-*Slow.* code=0
  (cd "$out" && exec 0</dev/null && OMP_NUM_THREADS=4 env -u RETORT_DATA timeout -k 5 "$seconds" "$build/tests/$suite" --gtest_brief=1 \
    --gtest_filter="$filter" --gtest_output="xml:$out/tests/$suite.xml") \
    >"$out/tests/$suite.log" 2>&1 || code=$?
  echo "$code" >"$out/tests/$suite.code"
}

step_tests() {
  local suite seconds bad=0
  mkdir -p "$out/tests"
  for suite in "${suites[@]/%/_tests}"; do
    [[ $(cat "$out/tests/$suite.code" 2>/dev/null) == 0 ]] && continue
    while (($(jobs -rp | wc -l) >= 8)); do wait -n; done
    seconds=$((end - SECONDS - 8))
    one_test "$suite" $((seconds > 1 ? seconds : 1)) &
  done
  wait
  for suite in "${suites[@]/%/_tests}"; do
    local code text ran names
    code=$(cat "$out/tests/$suite.code" 2>/dev/null || echo "?")
    text=$(grep -m1 -o '<testsuites tests="[0-9]*"' "$out/tests/$suite.xml" 2>/dev/null)
    ran=$(sed -E 's/.*tests="([0-9]*)".*/\1/' <<<"$text")
    names=$(sed -nE 's/^\[  FAILED  \] ([^ ,]*[.][^ ,]*).*/\1/p' "$out/tests/$suite.log" | sort -u)
    if [[ $code == 0 ]]; then
      row "tests: $suite" "${ran:-?} run, all passed" ""
      continue
    fi
    bad=1
    row "tests: $suite" "${ran:-?} run, exit $code, **failed**: $(head -n 8 <<<"$names" | xargs)" ""
    echo "---- $suite (exit $code)"
    tail -n 60 "$out/tests/$suite.log"
  done
  return $bad
}

# value KEY of the last line of JSON on standard input.
value() { tail -n 1 | "$python" -c "import json, sys; print(json.loads(sys.stdin.read())['$1'])"; }

# timing TITLE ARGUMENTS: ours and eager PyTorch in turn; the medians of their rounds.
timing() {
  local title=$1 round
  shift
  : >"$out/ours.json"
  : >"$out/eager.json"
  for ((round = 0; round < rounds; ++round)); do
    run "$build/benchmarks/distillation_step" "$@" --iters "$iterations" --device "$device" \
      >>"$out/ours.json" || return 1
    run "$python" benchmarks/eager_torch.py "$@" --iters "$iterations" --device "$device" \
      >>"$out/eager.json" || return 1
  done
  cat "$out/ours.json" "$out/eager.json"
  row "$title" $("$python" - "$out" <<'PY'
import json, statistics, sys
read = lambda name: [json.loads(line) for line in open(f'{sys.argv[1]}/{name}.json')]
ours, eager = read('ours'), read('eager')
middle = lambda runs, key: statistics.median(run[key] for run in runs)
a, b, c = 1000 * middle(ours, 'seconds'), 1000 * middle(eager, 'seconds'), 1000 * middle(eager, 'tf32')
each = sorted(y['seconds'] / x['seconds'] for x, y in zip(ours, eager))
print(f"{a:.1f}_ms,_PyTorch_{b:.1f}_ms_(TF32_{c:.1f}),_ratio_{b / a:.2f}_({each[0]:.2f}-{each[-1]:.2f})",
      f"{middle(ours, 'peak_mb'):.0f}_MB,_PyTorch_{middle(eager, 'peak_mb'):.0f}_MB")
PY
  )
  sed -i 's/_/ /g' "$out/$name.rows"
}

step_ratios() {
  local bad=0
  timing "dm 10 per class" dm --ipc 10 || bad=1
  timing "train" train || bad=1
  timing "mtt 1 per class" mtt --ipc 1 --inner 10 --batch-syn 10 || bad=1
  timing "dsa 10 per class" dsa --ipc 10 || bad=1
  timing "mtt 10 per class" mtt --ipc 10 --inner 10 --batch-syn 100 || bad=1
  return $bad
}

cifar() { [[ -d ${RETORT_DATA:-}/cifar-10-batches-bin ]] || { row "$name" "RETORT_DATA holds no CIFAR-10" ""; return 1; }; }

seconds_of() {
  local begin
  begin=$(date +%s.%N)
  run "$@" >&2 || return 1
  echo "$(date +%s.%N) $begin" | awk '{print $1 - $2}'
}

# distil METHOD SECONDS OPTIONS...: a calibration, then as many iterations as fit, then the students.
distil() {
  local method=$1 seconds=$2 few many count
  shift 2
  local how=("$retort" distill --method "$method" --data "$RETORT_DATA/cifar-10-batches-bin"
    --images-per-class 10 --device "$device" "$@")
  rm -rf "$out/few" "$out/many"
  few=$(seconds_of "${how[@]}" --iterations 5 --out "$out/few") || return 1
  many=$(seconds_of "${how[@]}" --iterations 25 --out "$out/many") || return 1
  count=$(awk -v a="$few" -v b="$many" -v t="$seconds" \
    'BEGIN {each = (b - a) / 20; if (each < 1e-4) each = 1e-4; n = int((t - a) / each)
            if (n < 25) n = 25; if (n > 20000) n = 20000; print n}')
  [[ -d $out/$method ]] && count=$(cat "$out/$method.count")
  echo "$count" >"$out/$method.count"
  local took
  took=$(seconds_of "${how[@]}" --iterations "$count" --out "$out/$method") || return 1
  row "$method on CIFAR-10" "$count iterations" "$took s"
  run "$retort" eval "$out/$method" --data "$RETORT_DATA/cifar-10-batches-bin" --protocol short \
    --students 2 --device "$device" --json >"$out/$method.json" || return 1
  row "$method on CIFAR-10" "$("$python" - "$out/$method.json" <<'PY'
import json, sys
rows = json.load(open(sys.argv[1]))
def found(x):
    if isinstance(x, dict):
        if 'subject' in x and 'mean' in x:
            yield x
        for y in x.values():
            yield from found(y)
    elif isinstance(x, list):
        for y in x:
            yield from found(y)
print(', '.join(f"{x['subject']} {100 * x['mean']:.1f} %" for x in found(rows)))
PY
)" "protocol short, 2 students"
}

step_dm() {
  cifar && distil dm $(((end - SECONDS) / 2))
}

step_mtt() {
  cifar || return 1
  local took
  took=$(seconds_of "$retort" experts --data "$RETORT_DATA/cifar-10-batches-bin" --count 3 --epochs 8 \
    --device "$device" --out "$out/experts") || return 1
  row "experts" "3 of 8 epochs" "$took s"
  distil mtt $(((end - SECONDS) / 2)) --experts "$out/experts" --inner-steps 10 --max-start-epoch 6 \
    --synthetic-batch 100
}

step machine 30
step build 420
step ratios 150
step tests $(($(left) * 3 / 5))
if [[ " $only " == *" mtt "* ]]; then
  step dm $(($(left) / 2))
else
  step dm "$(left)"
fi
step mtt 600

{
  echo "| what | result | time or memory |"
  echo "| --- | --- | --- |"
  for name in machine build ratios tests dm mtt; do
    [[ -e $out/$name.rows ]] && cat "$out/$name.rows"
  done
} >"$out/table.md"
echo
cat "$out/table.md"
if ((${#failed[@]})); then
  echo "failed: ${failed[*]} (logs in $out)"
  exit 1
fi
