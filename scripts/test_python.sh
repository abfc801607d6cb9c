#!/usr/bin/env bash
# Builds the Python package for the PyTorch of an interpreter and runs its tests.
#     scripts/test_python.sh [arguments of cmake]
# RETORT_PYTHON names the interpreter (python3); where it lacks PyTorch 2.4 or the tests' packages,
# the script says so and does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(command -v "${RETORT_PYTHON:-python3}" || true)
skip() {
  echo "Python tests skipped: $1 (RETORT_PYTHON names another interpreter)"
  exit 0
}
[[ -n $python ]] || skip "there is no ${RETORT_PYTHON:-python3}"
version=$("$python" -c 'import torch; print(torch.__version__)' 2>/dev/null) || skip "$python has no PyTorch"
"$python" -c 'import sys, torch; sys.exit(tuple(map(int, torch.__version__.split(".")[:2])) < (2, 4))' \
  || skip "$python has PyTorch $version, the package needs 2.4 or newer"
for package in numpy tqdm pytest; do
  "$python" -c "import $package" 2>/dev/null || skip "$python has no $package"
done
echo "Python package for PyTorch $version of $python"
cmake -S . -B build/python -G Ninja -DCMAKE_BUILD_TYPE=Release -DRETORT_BUILD_PYTHON=ON \
  -DRETORT_BUILD_TESTS=OFF -DPython_EXECUTABLE="$python" "$@" >build/python.log || { cat build/python.log; exit 1; }
cmake --build build/python -j "${JOBS:-$(nproc)}"
PYTHONPATH=$PWD/build/python/python "$python" -m pytest -q -p no:cacheprovider python/tests
