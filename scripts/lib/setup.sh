# Shell functions of several scripts. To be sourced by bash in the project's root folder. They use only bash,
# coreutils and grep, because CANN's official images have neither findutils nor tar.
#
#   latte_ensure_tools GROUP …   installs missing tools of build, check, prebuilds, aarch64; if it cannot,
#                                prints their packages and exits with 2
#   latte_npm_ci                 installs the exact dependencies of package-lock.json
#   latte_build [--werror]       builds the addon (build/Release) and the JavaScript (dist)
#   latte_pip FOLDER ARGUMENT …  installs Python packages into a folder, unless that was done
#   latte_install FOLDER         copies the package there, as users get it, with all addons of prebuilds/

latte_say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

# Prints the lines of $1 as words of one line.
_latte_words() {
  local word words=
  for word in $1; do words+="${words:+ }$word"; done
  printf '%s' "$words"
}

_latte_manager() {
  if _latte_has apt-get; then echo apt; elif _latte_has dnf; then echo dnf; else echo none; fi
}

_latte_has() { command -v "$1" >/dev/null 2>&1; }

_latte_has_compiler() { _latte_has "${CXX:-g++}" || _latte_has clang++; }

_latte_has_highway() {
  # CMake uses this copy if the system has none.
  [ ! -e node_modules/@img/sharp-libvips-dev/include/hwy/highway.h ] || return 0
  local compiler=${CXX:-g++}
  _latte_has "$compiler" || compiler=clang++
  echo '#include <hwy/highway.h>' | "$compiler" -std=c++20 -E -x c++ - >/dev/null 2>&1
}

# Prints the missing packages of the groups "$@", in the names of package manager $1 (apt or dnf).
_latte_missing() {
  local manager=$1 group
  shift
  for group in "$@"; do
    case $group in
      build)
        _latte_has cmake || echo cmake
        _latte_has ninja || _latte_has make || echo make
        if ! _latte_has_compiler; then
          if [ "$manager" = dnf ]; then echo gcc-c++; else echo g++; fi
        fi
        if ! _latte_has_highway; then
          # Elsewhere CMake uses the headers of an npm package, which `npm ci` installs.
          if [ "$manager" = apt ]; then echo libhwy-dev; fi
        fi
        ;;
      check)
        if [ "$manager" = dnf ]; then
          _latte_has clang-format && _latte_has clang-tidy || echo clang-tools-extra
          [ -e "$(gcc -print-file-name=libasan.so 2>/dev/null)" ] || echo libasan libubsan
        else
          _latte_has clang-format || echo clang-format
          _latte_has clang-tidy || echo clang-tidy
        fi
        # Counts the kernels' instructions.
        if ! _latte_has valgrind || [ ! -e /usr/include/valgrind/callgrind.h ]; then
          if [ "$manager" = dnf ]; then echo valgrind valgrind-devel; else echo valgrind; fi
        fi
        # Counts a forward's system calls.
        _latte_has strace || echo strace
        # The service is tested behind it.
        _latte_has haproxy || echo haproxy
        # For node-gyp, whose way into the build is tested too, is tested as well.
        _latte_has python3 || echo python3
        ;;
      prebuilds)
        _latte_has cmake || echo cmake
        python3 -m pip --version >/dev/null 2>&1 || echo python3-pip
        ;;
      aarch64)
        # Node.js for AArch64 needs them.
        [ -e /usr/aarch64-linux-gnu/lib/libc.so.6 ] || echo libc6-arm64-cross
        [ -e /usr/aarch64-linux-gnu/lib/libstdc++.so.6 ] || echo libstdc++6-arm64-cross
        [ -e /usr/aarch64-linux-gnu/lib/libgcc_s.so.1 ] || echo libgcc-s1-arm64-cross
        _latte_has qemu-aarch64 || echo qemu-user
        ;;
    esac
  done
}

_latte_node_serves() {
  _latte_has node &&
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
}

_latte_check_node() {
  if _latte_has npm && _latte_node_serves; then return; fi
  echo "Node.js 20.19 or newer with npm is needed; found: $(node --version 2>/dev/null || echo none)." >&2
  echo 'Install it from https://nodejs.org/en/download or with a version manager, then run this script again.' >&2
  exit 2
}

# Runs a command as root; never asks for a password.
_latte_as_root() {
  if [ "$(id -u)" = 0 ]; then "$@" </dev/null; else sudo -n "$@" </dev/null; fi
}

latte_ensure_tools() {
  local manager missing
  _latte_check_node
  manager=$(_latte_manager)
  missing=$(_latte_words "$(_latte_missing "$manager" "$@")")
  [ -n "$missing" ] || return 0

  if [ "$manager" != none ] && { [ "$(id -u)" = 0 ] || sudo -n true >/dev/null 2>&1; }; then
    latte_say "Installing $missing"
    # The lists of words below are meant to be split.
    # shellcheck disable=SC2086
    if [ "$manager" = apt ]; then
      _latte_as_root apt-get update -q &&
        _latte_as_root env DEBIAN_FRONTEND=noninteractive \
          apt-get install -q -y --no-install-recommends $missing || true
    else
      _latte_as_root dnf install -q -y $missing || true
    fi
    hash -r
    missing=$(_latte_words "$(_latte_missing "$manager" "$@")")
    [ -n "$missing" ] || return 0
    echo "The package manager did not install: $missing" >&2
  fi
  echo 'These packages are needed first (root rights, or sudo without a password, would let this script install them):' >&2
  case $manager in
    apt) echo "  sudo apt-get install $missing" >&2 ;;
    dnf) echo "  sudo dnf install $missing" >&2 ;;
    *) echo "  $missing (by the names of Debian; this system has neither apt-get nor dnf)" >&2 ;;
  esac
  exit 2
}

latte_npm_ci() {
  latte_say 'Installing the npm dependencies'
  # Without the install script: latte_build builds the addon once, with the caller's options.
  npm ci --ignore-scripts --no-audit --no-fund </dev/null
}

latte_pip() {
  local folder=$1
  shift
  [ "$(cat "$folder/done" 2>/dev/null)" != "$*" ] || return 0
  rm -rf "$folder" &&
    python3 -m pip install --quiet --disable-pip-version-check --target "$folder" "$@" </dev/null &&
    echo "$*" >"$folder/done"
}

latte_install() {
  rm -rf "$1"
  mkdir -p "$1"
  cp -r dist prebuilds package.json "$1/"
  ln -s "$PWD/node_modules" "$1/node_modules"
}

# _latte_build_addon ON|OFF: builds the addon; ON makes warnings errors.
_latte_build_addon() {
  # By default make builds one file at a time.
  export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
  # `configure` before `build`: cmake-js passes options to an existing build folder only this way.
  node_modules/.bin/cmake-js configure --CDLATTE_WERROR="$1" </dev/null &&
    node_modules/.bin/cmake-js build </dev/null
}

latte_build() {
  local werror=OFF
  [ "${1:-}" != --werror ] || werror=ON
  latte_say 'Building the native addon'
  _latte_build_addon "$werror" || return 1
  latte_say 'Building the JavaScript'
  npm run --silent build:ts </dev/null
}
