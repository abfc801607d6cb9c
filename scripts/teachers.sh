#!/usr/bin/env bash
# Teachers of two widths and kinds on CIFAR-10, and the study of their BatchNorm statistics.
#     scripts/teachers.sh RETORT CIFAR-10-FOLDER OUT
# Resumable: give the same command again. About 20 minutes of one core.
set -euo pipefail
retort=${1:?usage: scripts/teachers.sh RETORT DATA OUT} data=${2:?DATA} out=${3:?OUT}
squeeze() {
  local name=$1
  shift
  "$retort" squeeze --data "$data" --images 5000 --threads 1 "$@" --out "$out/$name"
}
for w in 16 32; do
  squeeze supervised-w$w --network convnet-w$w-bn --epochs 40 --batch-size 128 --learning-rate 0.05
  squeeze moco-w$w --network convnet-w$w-bn --objective moco --epochs 80 --batch-size 256 \
    --learning-rate 0.06
done
for w in 16 32; do
  squeeze long-w$w --network convnet-w$w-bn --epochs 80 --batch-size 128 --learning-rate 0.05
  squeeze views-w$w --network convnet-w$w-bn --epochs 80 --batch-size 128 --learning-rate 0.05 \
    --augmentation views
  squeeze simsiam-w$w --network convnet-w$w-bn --objective simsiam --projection 256 --epochs 80 \
    --batch-size 256 --learning-rate 0.06
  squeeze random-w$w --network convnet-w$w-bn --epochs 0 --objective moco --statistics recalibrated
done
"$retort" study bn-statistics "$out"/{supervised,moco}-w{16,32} --gauge 3 --data "$data" \
  --threads 1 --out "$out/study.html"
"$retort" study bn-statistics "$out"/{supervised,long,views,moco,simsiam,random}-w{16,32} \
  --data "$data" --threads 1 --out "$out/study-all.html"
