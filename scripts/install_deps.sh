#!/usr/bin/env bash
# Installs the Debian packages of the named groups that are missing.
#     scripts/install_deps.sh build [pytorch] [bench] [lint] [tidy] [fuzz] [data]
# Asks for neither root nor network where all of them are there.
set -euo pipefail

packages_of() {
  case $1 in
    build) echo g++ make cmake ninja-build git ca-certificates libtorch-dev libopenblas0 \
      libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libfmt-dev libturbojpeg0-dev libpng-dev \
      libwebp-dev libgif-dev libtiff-dev libarchive-dev libmatio-dev libhwy-dev libopenmpi-dev \
      openmpi-bin libgtest-dev ;;
    pytorch) echo python3-torch python3-numpy ;;
    bench) echo libbenchmark-dev libdnnl-dev ;;
    lint) echo python3-venv ;;
    tidy) echo clang clang-tidy ;;
    fuzz) echo clang libclang-rt-dev ;;
    data) echo python3-pil python3-numpy ;;
    *) echo "install_deps.sh: no group '$1'; groups are build, pytorch, bench, lint, tidy, fuzz, data" >&2
       return 1 ;;
  esac
}

wanted=()
for group in "$@"; do
  list=$(packages_of "$group")
  read -ra words <<<"$list"
  wanted+=("${words[@]}")
done

refuse() {
  echo "retort needs these packages of Debian 12 or 13: ${missing[*]}" >&2
  echo "$1" >&2
  exit 1
}

missing=("${wanted[@]}")
if command -v dpkg-query >/dev/null; then
  missing=()
  for package in "${wanted[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $status == installed* ]] || missing+=("$package")
  done
fi
[[ ${#missing[@]} -gt 0 ]] || exit 0

command -v apt-get >/dev/null || refuse "There is no apt here. Build with a PyTorch that is installed and the headers \
of 'make deps-bundle' (README, \"Without apt\"): make test RETORT_DEPS=.deps CMAKE_ARGS=-DCMAKE_PREFIX_PATH=..."
as_root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || refuse "Neither root nor sudo is at hand: install them as root, then run this again."
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq </dev/null || echo "apt-get update failed; trying with the lists that are there" >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  "${missing[@]}" </dev/null >/dev/null || refuse "apt-get could not install them; its messages stand above."
