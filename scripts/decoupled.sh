#!/usr/bin/env bash
# Squeeze, recover, relabel, post-train: teachers, then sre2l, cda, scdd, rded and random real images
# under one post-training, with hard and with soft labels; two markdown tables.
#     scripts/decoupled.sh BUILD DATA OUT
# What OUT holds is not made again: a script that was stopped goes on.
set -euo pipefail
usage="usage: scripts/decoupled.sh BUILD DATA OUT"
retort=$(realpath "${1:?$usage}/retort")
data=${2:?$usage}
out=${3:?$usage}
network=${NETWORK:-convnet-w16-bn} student=${STUDENT:-$network} count=${IMAGES_PER_CLASS:-10}
images=${IMAGES:-5000} epochs=${EPOCHS:-40} moco_epochs=${MOCO_EPOCHS:-80} iterations=${ITERATIONS:-500}
rate=${RATE:-0.1} weight=${STATISTICS_WEIGHT:-0.1} roll=${ROLL:-4} students=${STUDENTS:-3} mosaic=${MOSAIC:-1}
precision=${PRECISION:-float32} protocol=${PROTOCOL:-frozen} post_epochs=${POST_EPOCHS:-0} validation=${VALIDATION:-0.01}
methods=${METHODS:-sre2l cda scdd rded random} threads=${THREADS:-0} seed=${SEED:-0}
mkdir -p "$out"
run() { "$retort" "$@" --threads "$threads"; }

# teacher NAME FILE OPTIONS...: FILE, or a teacher that is trained here; prints its file.
teacher() {
  local name=$1 file=$2
  shift 2
  if [ -z "$file" ]; then
    run squeeze --data "$data" --validation-fraction "$validation" --images "$images" --network "$network" \
      --seed "$seed" --out "$out/$name" "$@" >&2
    file=$out/$name/teacher.safetensors
  fi
  echo "$file"
}
supervised=$(teacher supervised "${SUPERVISED:-}" --epochs "$epochs")
self_supervised=
if [[ $methods == *scdd* ]]; then
  self_supervised=$(teacher moco "${SELF_SUPERVISED:-}" --objective moco --epochs "$moco_epochs" \
    --batch-size 256 --learning-rate 0.06)
fi

# The same iterations, rate and weight for all that recover: what differs is the method.
settings() {
  local recovery="--iterations $iterations --image-learning-rate $rate --statistics-weight $weight --roll $roll"
  case $1 in
  sre2l | cda) echo "--teacher $supervised $recovery" ;;
  scdd) echo "--teacher $self_supervised $recovery" ;;
  rded) echo "--teacher $supervised --mosaic $mosaic" ;;
  *) ;;
  esac
}

# judge METHOD LABELS NAME OPTIONS...: a post-training, kept as NAME.json.
judge() {
  local run=$out/$1 labels=$2 name=$3 redraw=no
  [ "$1" = random ] && redraw=yes # a coreset costs a training on the real images
  shift 3
  [ -s "$name.json" ] && return
  run eval "$run" --data "$data" --networks "$student" --students "$students" --protocol "$protocol" \
    --evaluation-epochs "$post_epochs" --random-baseline=no --redraw="$redraw" --student-labels "$labels" \
    --json "$@" >"$name.part"
  mv "$name.part" "$name.json"
}

for method in $methods; do
  # shellcheck disable=SC2046
  run distill --method "$method" --data "$data" --validation-fraction "$validation" --images-per-class "$count" \
    --network "$network" --protocol "$protocol" --seed "$seed" --out "$out/$method" $(settings "$method") >&2
  run relabel "$out/$method" --teacher "$supervised" --protocol "$protocol" --precision "$precision" \
    --evaluation-epochs "$post_epochs" >&2
  judge "$method" "$out/$method/labels.safetensors" "$out/$method.soft"
  judge "$method" hard "$out/$method.hard"
done
if [ -n "$self_supervised" ]; then
  # The other relabeller: labels and images of one teacher, and random images with those labels.
  for method in scdd random; do
    [ -d "$out/$method" ] || continue
    run relabel "$out/$method" --teacher "$self_supervised" --protocol "$protocol" \
      --precision "$precision" --evaluation-epochs "$post_epochs" --out "$out/$method.self.labels" >&2
    judge "$method" "$out/$method.self.labels" "$out/$method.self"
  done
fi

# row NAME TITLE: one line of a table.
row() {
  [ -s "$out/$1.json" ] || return 0
  python3 - "$out/$1.json" "$2" <<'PYTHON'
import json, statistics, sys

result = json.load(open(sys.argv[1]))["results"][0]
def cell(values):
    if not values:
        return "-"
    return f"{100 * statistics.mean(values):.1f} ± {100 * statistics.pstdev(values):.1f}"
print("|", " | ".join([sys.argv[2]] + [cell(result[key]) for key in ("accuracies", "averaged", "best")]
                      + [f"{result['image_bytes'] / 1e3:,.0f}", f"{result['label_bytes'] / 1e3:,.1f}"]), "|")
PYTHON
}
heading() {
  echo
  echo "$1"
  echo
  echo "| images | last | moving average | best on validation | image kB | label kB |"
  echo "| --- | --- | --- | --- | --- | --- |"
}
echo "Accuracy in per cent, $count images per class, students of $student, $students a figure, protocol $protocol."
heading "Hard labels:"
for method in $methods; do row "$method.hard" "\`$method\`"; done
heading "Soft labels of the supervised teacher, stored:"
for method in $methods; do row "$method.soft" "\`$method\`"; done
if [ -n "$self_supervised" ]; then
  heading "Soft labels of the self-supervised teacher, stored:"
  for method in scdd random; do row "$method.self" "\`$method\`"; done
fi
