#!/usr/bin/env bash
# Builds the plugin with our Ascend C kernels, liblatte_ascend_kernels.so, and the same kernels as a
# device binary, latte_ascend_kernels.o, with an installed CANN toolkit (8.x, with its Ascend C
# compiler), and puts both where the addon looks for them: of a checkout beside its build, else in
# latte-embeddings/kernels of $XDG_DATA_HOME or ~/.local/share, which `npm ci` does not empty:
#
#   scripts/build-ascend-kernels.sh [--soc Ascend910B1] [--to folder] [toolkit folder]
#
# Without a folder: the toolkit of ASCEND_HOME_PATH, which CANN's set_env.sh sets. One SoC of a
# family serves all of it: Ascend910B1 is for the 910B and 910_93 families. Needs CMake 3.16, make,
# python3 and a C++ compiler; no NPU. What the addon declares of ACL and aclnn is compared with the
# toolkit's headers first.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
usage() {
  echo "usage: $0 [--soc Ascend910B1] [--to folder] [toolkit folder]" >&2
  exit 2
}
soc=Ascend910B1
to=
toolkit=${ASCEND_HOME_PATH:-}
while [ $# -gt 0 ]; do
  case $1 in
    --soc | --to)
      [ $# -ge 2 ] || usage
      if [ "$1" = --soc ]; then soc=$2; else to=$2; fi
      shift
      ;;
    -*) usage ;;
    *) toolkit=$1 ;;
  esac
  shift
done
if [ -z "$toolkit" ] || [ ! -d "$toolkit" ]; then
  echo "Give the folder of a CANN toolkit, or set ASCEND_HOME_PATH (found: '$toolkit')." >&2
  exit 2
fi
toolkit=$(cd "$toolkit" && pwd)
work=$root/build
# An installed package has no tests; its folder may be read-only, and npm ci empties it.
if [ ! -d "$root/test/parity" ]; then
  work=${XDG_CACHE_HOME:-$HOME/.cache}/latte-embeddings
  to=${to:-${XDG_DATA_HOME:-$HOME/.local/share}/latte-embeddings/kernels}
fi
if [ -z "$to" ]; then
  to=$root/build/Release
  if [ -n "${LATTE_ADDON:-}" ]; then to=$(dirname "$LATTE_ADDON"); fi
fi

"$root/scripts/check-toolkit.sh" --abi "$toolkit"

# build_in FOLDER [OPTION …]
build_in() {
  # The toolkit's scripts read what CMake writes for make.
  cmake -S "$root/native/backend/ascend/kernels" -B "$1" -G 'Unix Makefiles' "${@:2}" \
    -DCMAKE_BUILD_TYPE=Release -DASCEND_CANN_PACKAGE_PATH="$toolkit" -DSOC_VERSION="$soc" &&
    cmake --build "$1" --parallel "$(nproc)"
}
build=$work/ascend-kernels-$soc
build_in "$build"
mkdir -p "$to"
cmake --install "$build" --prefix "$to" --component latte_plugin
echo "Built $to/liblatte_ascend_kernels.so for $soc"

# Launching from the device binary takes less work. It was never built with a real toolkit, so without it the
# plugin's own launch functions are used.
rm -f "$to/latte_ascend_kernels.o"
if build_in "$build-binary" -DLATTE_KERNEL_BINARY=ON -DCMAKE_INSTALL_PREFIX="$build-binary/installed" &&
  cp "$build-binary/installed/fatbin/latte_kernel_binary/latte_kernel_binary.o" \
    "$to/latte_ascend_kernels.o"; then
  echo "Built $to/latte_ascend_kernels.o for $soc"
else
  echo "The device binary could not be built: the plugin launches its kernels itself." >&2
fi
