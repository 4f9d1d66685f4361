#!/usr/bin/env bash
# Builds the addons that the npm package carries, prebuilds/linux-<platform>/latte.node, each with its
# debug symbols in a file of their own, which the package leaves out. Platforms: x64 and arm64 for
# hosts with glibc, x64-musl and arm64-musl for hosts with musl (Alpine). The presets prebuilds/<platform>
# of CMakePresets.json describe the builds.
#
# Runs on any x86-64 or AArch64 Linux with Node and npm; installs pip for Python 3 and CMake where they
# are missing, as root, with apt-get or dnf. The compiler (zig), ninja and Highway's headers come from
# PyPI and npm, in the versions that are named here and in package-lock.json, so that everyone builds
# the same bytes.
#
#   scripts/build-prebuilds.sh            all platforms
#   scripts/build-prebuilds.sh x64 …      some of them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/setup.sh
. scripts/lib/setup.sh
latte_ensure_tools prebuilds

zig_version=0.17.1
ninja_version=1.13.2
# A path of its own for each version: to CMake another path is another compiler, so it builds anew.
export ZIG_TOOLS=$PWD/build-prebuilds/tools-$zig_version-$ninja_version
[ -d node_modules/node-addon-api ] && [ -d node_modules/@img/sharp-libvips-dev ] || latte_npm_ci
latte_pip "$ZIG_TOOLS" "ziglang==$zig_version" "ninja==$ninja_version"

# The same sources and tools have the same build id, wherever they are built.
build_id=$({
  echo "$zig_version"
  find CMakeLists.txt CMakePresets.json native scripts/prebuilds package-lock.json -type f | LC_ALL=C sort |
    while read -r file; do echo "$file $(sha1sum <"$file")"; done
} | sha1sum | cut -c1-40)

# build_platform <platform> <jobs>
build_platform() {
  local target libraries status=0 build=build-prebuilds/$1 out=prebuilds/linux-$1
  cmake --preset "prebuilds/$1" -DLATTE_BUILD_ID="$build_id" </dev/null
  # zig compiles its C++ library for each platform, one file at a time, before it links with it for the first
  # time. Meanwhile ninja compiles the addon's files. The flags are those of the addon's link.
  target=$(sed -nE 's/^LATTE_ARCH:.*=//p; s/^LATTE_LIBC:.*=/linux-/p' "$build/CMakeCache.txt")
  "$ZIG_TOOLS/ziglang/zig" c++ -target "${target/$'\n'/-}" -fPIC -O3 -shared -x c++ /dev/null \
    -o "$build/libraries.so" &
  libraries=$!
  cmake --build --preset "prebuilds/$1" --parallel "$2" </dev/null || status=$?
  wait "$libraries" && [ "$status" -eq 0 ] || return 1
  rm -rf "$out"
  mkdir -p "$out"
  node scripts/prebuilds/strip.mjs "$build/latte_embeddings.node" "$out/latte.node"
  cp "$build/latte_embeddings.node" "$out/latte.node.debug"
  echo "$out/latte.node: $(stat -c %s "$out/latte.node") bytes, build id $build_id"
}

[ $# -gt 0 ] || set -- x64 arm64 x64-musl arm64-musl
builds=()
jobs=$(($(nproc) / $#))
for platform in "$@"; do
  build_platform "$platform" "$((jobs > 0 ? jobs : 1))" &
  builds+=($!)
done
status=0
for build in "${builds[@]}"; do wait "$build" || status=1; done
exit "$status"
