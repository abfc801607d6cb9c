#!/usr/bin/env bash
# Fills a folder with what a machine without apt needs to build retort beside a PyTorch: the
# header-only libraries and the GoogleTest sources.
#     scripts/bundle_deps.sh DEST        then, on the other machine: cmake -DRETORT_DEPS=DEST ...
set -euo pipefail
dest=${1:?usage: scripts/bundle_deps.sh DEST}
new=$dest.new
rm -rf "$new"
mkdir -p "$new/include" "$new/googletest" "$new/licences"
for folder in CLI toml++ nlohmann fmt; do
  cp -rL "/usr/include/$folder" "$new/include/"
done
cp -rL /usr/src/googletest/googletest/{src,include} "$new/googletest/"
for package in libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libfmt-dev libgtest-dev; do
  cp -L "/usr/share/doc/$package/copyright" "$new/licences/$package"
done
rm -rf "$dest"
mv "$new" "$dest"
echo "$dest: $(du -sk "$dest" | awk '{printf "%.1f MB", $1 / 1024}')"
