#!/usr/bin/env bash
# Counts the instructions of OpenBLAS' float32 product for AArch64, one thread, for shapes that
# `count-instructions.sh --neon` counts: a peer that runs under qemu. Prints the share of
# multiply-adds, of four products each, for some processors that OpenBLAS has kernels for.
#
#   count-openblas.sh [PROCESSOR …]      as OPENBLAS_CORETYPE takes them; default: NEOVERSEN1
#
# Needs x86-64 with apt-get, which brings the C library and qemu, and gcc-aarch64-linux-gnu. OpenBLAS
# comes from PyPI.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/lib/setup.sh
. scripts/lib/setup.sh
latte_ensure_tools build aarch64

version=0.3.34.481.3
folder=build-aarch64/openblas
latte_pip "$folder" --no-deps --only-binary=:all: --platform manylinux_2_28_aarch64 \
  --python-version 3.12 "scipy-openblas32==$version"
library=$folder/scipy_openblas32/lib
aarch64-linux-gnu-gcc -O2 test/performance/count_openblas.c -L"$library" -lscipy_openblas \
  -Wl,-rpath,"$PWD/$library" -o "$folder/count"

[ $# -gt 0 ] || set -- NEOVERSEN1
for processor in "$@"; do
  OPENBLAS_NUM_THREADS=1 OPENBLAS_CORETYPE=$processor \
    test/performance/count-under-qemu.sh "$folder" "$folder/count"
  echo "$(tail -n 1 "$folder/names"):"
  paste -d ' ' <(head -n -1 "$folder/names") "$folder/counts" | while read -r rows in out _ count; do
    echo "  [$rows, $in] → $out: $count instructions," \
      "$((rows * in * out / 4 * 100 / count)) % multiply-adds"
  done
done
