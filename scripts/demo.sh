#!/usr/bin/env bash
# The demonstration: distils the built-in set by distribution matching at 1 and 10 images per class
# and trains students on the result, beside as many random real images.
#     scripts/demo.sh PROGRAM [FOLDER]
set -euo pipefail
retort=$(realpath "${1:?usage: scripts/demo.sh PROGRAM [FOLDER]}")
folder=${2:-runs/demo}
network=convnet-w64 iterations_1=200 iterations_10=150 students=2

cat <<TEXT
Distilling 'shapes' (10 classes, 10,000 training images, 32x32) by distribution matching.
Reduced to end within minutes on 2 cores: the network is $network (published: convnet, width 128),
$iterations_1 and $iterations_10 iterations (published: 20,000), students trained by the protocol 'demo'
(published: 1,000 epochs), $students students each.
TEXT
rm -rf "$folder" # a demonstration always starts anew
begin=$SECONDS
for count in 1 10; do
  iterations=iterations_$count
  "$retort" distill --method dm --data shapes --images-per-class $count --iterations "${!iterations}" \
    --real-batch 64 --network $network --seed 0 --out "$folder/ipc$count" >/dev/null
  "$retort" eval "$folder/ipc$count" --data shapes --protocol demo --students $students --json \
    >"$folder/ipc$count.json"
done
"$retort" report "$folder/ipc10" >/dev/null

# mean NUMBER SUBJECT: the accuracy in per cent and its deviation, from the evaluation's JSON.
mean() {
  tr -d ' \n' <"$folder/ipc$1.json" | grep -o '{[^{}]*"subject":"'"$2"'"[^{}]*}' |
    sed -E 's/.*"deviation":([0-9.e+-]+).*"mean":([0-9.e+-]+).*/\2 \1/' |
    awk '{printf "%5.1f +- %.1f", 100 * $1, 100 * $2}'
}
printf '\n%-29s %-16s %s\n' "accuracy on 2,000 test images" "1 per class" "10 per class"
printf '%-29s %-16s %s\n' "dm" "$(mean 1 distilled)" "$(mean 10 distilled)"
printf '%-29s %-16s %s\n' "random real images" "$(mean 1 random)" "$(mean 10 random)"
printf '\n%d seconds in all. Report: %s\n' $((SECONDS - begin)) "$folder/ipc10/report.html"
