#!/usr/bin/env bash
# Continual learning at the papers' sizes, every rival on every stream; each stream's folder has a page of them all.
#     scripts/continual.sh RETORT DATA OUT      # DATA holds mnist and cifar-100-binary; hours to days
#     STREAMS=rotations ORDERS=2 scripts/continual.sh RETORT DATA OUT
# MNIST rotations and permutations (20 tasks, 1,000 samples each, 200 images of memory), many permutations (100 tasks, 200 samples, 500
# images): an MLP, 5 orders, the whole test part. Class-incremental CIFAR-100: 5 steps, 20 images per class, 5 orders. What a task's
# memory holds in bytes is what the stored sets take. Give the same command to go on.
set -euo pipefail
usage="usage: scripts/continual.sh RETORT DATA OUT"
retort=${1:?$usage} data=${2:?$usage} out=${3:?$usage}
streams=${STREAMS:-rotations permutations many-permutations class-incremental} orders=${ORDERS:-5} threads=${THREADS:-0}

learn() {
  local stream=$1 folder=$2
  shift 2
  "$retort" continual --stream "$stream" --data "$data/$folder" --orders "$orders" --threads "$threads" --out "$out/$stream" "$@"
}
# Learned by passing through trainings; bases and addressing matrices as the memory allows.
memories="--method bptt --name memories --parametrisation memories --image-optimiser adam --image-learning-rate 0.01
  --image-momentum 0.9 --student-learning-rate 0.02 --inner-steps 20 --synthetic-per-class 3 --real-per-class 32"

for stream in $streams; do
  case $stream in
  class-incremental)
    for method in random herding; do learn $stream cifar-100-binary --method $method; done
    learn $stream cifar-100-binary --method dm --iterations "${ITERATIONS:-500}" --real-batch 64
    ;;
  *)
    for method in online replay; do learn "$stream" mnist --method $method; done
    # A task of many permutations may store half an image of each class: pixels cannot.
    if [ "$stream" != many-permutations ]; then
      for method in random herding; do learn "$stream" mnist --method $method; done
      learn "$stream" mnist --method dm --iterations "${ITERATIONS:-200}" --real-batch 32
    fi
    # Permuted pixels have no neighbours to average.
    whole=1
    [ "$stream" = rotations ] && whole=2
    # shellcheck disable=SC2086
    learn "$stream" mnist $memories --downsample $whole --iterations "${ITERATIONS:-150}"
    ;;
  esac
done
