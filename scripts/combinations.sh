#!/usr/bin/env bash
# Objectives times parametrisations at equal bytes, on the built-in set: one markdown table.
#     scripts/combinations.sh BUILD OUT [OBJECTIVE [PARAMETRISATION]]
# Cells that OUT holds are not made again; with names, only those cells are made.
set -euo pipefail
retort=$(realpath "${1:?usage: scripts/combinations.sh BUILD OUT [OBJECTIVE [PARAMETRISATION]]}/retort")
out=${2:?usage: scripts/combinations.sh BUILD OUT [OBJECTIVE [PARAMETRISATION]]}
objectives=${3:-dm dsa mtt bptt} parametrisations=${4:-pixels memories multiformation frequency}
network=${NETWORK:-convnet-w16} count=${IMAGES_PER_CLASS:-1} steps=${STEPS:-500}
students=${STUDENTS:-2} threads=${THREADS:-0} batch=256
mkdir -p "$out"

# What an objective is run with, for about a minute a cell.
settings() {
  case $1 in
  dm) echo "--iterations 200 --real-batch 64 --image-learning-rate 1" ;;
  # One matching step an iteration whatever the number of images, as published for one of each class.
  dsa) echo "--iterations 100 --real-batch 64 --image-learning-rate 0.1 --outer-loop 1 --inner-loop 1" ;;
  mtt) echo "--iterations 100 --experts $out/experts --inner-steps 10 --expert-epochs 1 --max-start-epoch 2 \
    --synthetic-batch 100 --image-learning-rate 100" ;;
  bptt) echo "--iterations 100 --inner-steps 20 --synthetic-per-class 5 --real-per-class 32 \
    --initialisation real --image-optimiser adam --image-learning-rate 0.05 --image-momentum 0.9" ;;
  esac
}

# What a parametrisation adds. Memories are a product of two tables, for which the rates of pixels
# mean nothing: Adam with one rate for all objectives, a choice of this script, as are 32 bases (19
# images of each class in the bytes of one) where the published 16 give 115 and take six times as
# long.
extras() {
  case $1 in
  memories) echo "--bases 32 --downsample 2 --memory-start images --image-optimiser adam \
    --image-learning-rate 0.01 --image-momentum 0.9" ;;
  multiformation) echo "--factor 2" ;;
  frequency) echo "--frequencies 64" ;;
  esac
}

# field FILE NAME: the first number of that name in a JSON file.
field() { tr -d ' \n' <"$1" | grep -o "\"$2\":[0-9.e+-]*" | head -n 1 | cut -d: -f2; }

# accuracy FILE SUBJECT: in per cent with its deviation.
accuracy() {
  tr -d ' \n' <"$1" | grep -o '{[^{}]*"subject":"'"$2"'"[^{}]*}' |
    sed -E 's/.*"deviation":([0-9.e+-]+).*"mean":([0-9.e+-]+).*/\2 \1/' |
    awk '{printf "%.1f ± %.1f", 100 * $1, 100 * $2}'
}

# cell OBJECTIVE PARAMETRISATION: distils and judges, in as many steps whatever the images.
cell() {
  local run=$out/$1-$2 images epochs
  [ -s "$run.eval.json" ] && return
  # shellcheck disable=SC2046
  "$retort" distill --method "$1" --parametrisation "$2" --data shapes --images-per-class "$count" \
    --network "$network" --seed 0 --threads "$threads" --protocol demo --out "$run" --json \
    $(settings "$1") $(extras "$2") >"$run.json"
  images=$(field "$run.json" images)
  epochs=$((steps / ((images + batch - 1) / batch)))
  "$retort" eval "$run" --data shapes --students "$students" --threads "$threads" --json \
    --evaluation-epochs "$epochs" --random-baseline="$([ "$2" = pixels ] && echo yes || echo no)" \
    >"$run.part"
  mv "$run.part" "$run.eval.json"
}

if [[ $objectives == *mtt* ]]; then
  "$retort" experts --data shapes --network "$network" --count 3 --epochs 4 --threads "$threads" \
    --out "$out/experts" >/dev/null
fi
for objective in $objectives; do
  for parametrisation in $parametrisations; do cell "$objective" "$parametrisation"; done
done

echo "Accuracy in per cent on the built-in set, students of $network, $students a figure, about $steps steps each;"
echo "bytes of $count images per class; behind it the images per class that the set decodes to."
echo
printf '| objective |'
for parametrisation in $parametrisations; do printf ' %s |' "$parametrisation"; done
printf '\n| --- |'
for parametrisation in $parametrisations; do printf ' --- |'; done
printf '\n'
for objective in $objectives; do
  printf '| %s |' "$objective"
  for parametrisation in $parametrisations; do
    run=$out/$objective-$parametrisation
    printf ' %s (%d) |' "$(accuracy "$run.eval.json" distilled)" $(($(field "$run.json" images) / 10))
  done
  printf '\n'
done
for objective in $objectives; do
  random=$out/$objective-pixels.eval.json
  [ -s "$random" ] || continue
  printf '| random real images | %s (%d) |' "$(accuracy "$random" random)" "$count"
  for parametrisation in ${parametrisations#pixels}; do printf ' |'; done
  printf '\n'
  break
done
