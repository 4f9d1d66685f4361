#!/usr/bin/env bash
# Runs tests under sanitizers, in builds of their own (the presets asan and tsan):
#
#   scripts/sanitize.sh [--twin] [vitest's arguments]   the suite under AddressSanitizer and
#                       UndefinedBehaviorSanitizer; with --twin on simulated NPUs, instrumented, too
#   scripts/sanitize.sh threads   the thread pool, the memory pool, the Ascend device's threads and the
#                       binding's forwards (over a stand-in of Node-API) under ThreadSanitizer, which
#                       Node cannot load. Deliberate races come first: each has to be reported.
#
# Node itself is not instrumented. The sanitizer's runtime is therefore preloaded, which watches
# every heap block of the process, and checks every access that the addon makes.
#   detect_leaks=0        Node and V8 leave memory to the end of the process on purpose, which a leak
#                         check could not distinguish from the addon's; test/lifecycle measures memory.
#   halt_on_error=1       the first finding ends the process: a test that expects an error cannot
#                         hide it.
#   allocator_may_return_null=1   a malloc or new (std::nothrow) that is refused returns a null pointer,
#                         as without the sanitizer. (Plain new ends the process there, always.)
#   quarantine_size_mb=16 how much freed memory is kept back to catch its use; the default of 256 would
#                         fail the tests that measure memory. Larger blocks are unmapped when they
#                         are freed, so that their use is a crash all the same.
#   max_free_fill_size, free_fill_byte   freed memory is filled with 0xAB at once, so that its use
#                         fails as well where no check sees it: in Node, and in system libraries.
#   log_path, handle_abort=1   findings go to files, one for each process, because a test may not
#                         look at the standard error of a process that it starts. What UBSan finds
#                         arrives there as the abort that follows its message.
# Child processes and worker threads that tests start inherit all of this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

compiler=${CXX:-g++}
# build_preset NAME [TARGET …]: builds a preset; without targets, the preset's own.
build_preset() {
  cmake --preset "$1" -DCMAKE_CXX_COMPILER="$compiler" </dev/null
  cmake --build --preset "$1" --parallel "$(nproc)" ${2:+--target "${@:2}"} </dev/null
}

if [ "${1:-}" = threads ]; then
  build_preset tsan
  export ASCEND_HOME_PATH=$PWD/build-tsan/twin LATTE_ASCEND_KERNELS=off LATTE_TWIN_STRICT=1
  export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 ${TSAN_OPTIONS:-}"
  cd build-tsan
  for program in latte_system_test forward_stress; do
    if ./$program --race >race 2>&1 || ! grep -q 'data race' race; then
      echo "ThreadSanitizer did not report the deliberate race of $program:" >&2
      cat race >&2
      exit 1
    fi
  done
  ./latte_system_test
  ./forward_stress
  for seed in 1 2 3; do LATTE_TWIN_SEED=$seed ./device_stress; done
  exit
fi

on=(env)
build_preset asan
if [ "${1:-}" = --twin ]; then
  shift
  build_preset asan twin
  export LATTE_TWIN=$PWD/build-asan/twin
  on=(scripts/twin.sh env)
fi

if [[ $("$compiler" --version) == *clang* ]]; then
  runtime=$("$compiler" -print-file-name="libclang_rt.asan-$(uname -m).so")
else
  runtime=$("$compiler" -print-file-name=libasan.so)
fi
if [ ! -e "$runtime" ]; then
  echo "$compiler has no AddressSanitizer runtime (looked for $runtime)" >&2
  exit 2
fi

findings=$(mktemp -d "${TMPDIR:-/tmp}/latte-sanitize.XXXXXX")
trap 'rm -rf "$findings"' EXIT
export LATTE_ADDON=$PWD/build-asan/latte_embeddings.node
ASAN_OPTIONS=log_path=$findings/report:handle_abort=1:halt_on_error=1:abort_on_error=1
ASAN_OPTIONS+=:detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=16
ASAN_OPTIONS+=:max_free_fill_size=4096:free_fill_byte=171
export ASAN_OPTIONS
export UBSAN_OPTIONS=log_path=$findings/report:halt_on_error=1:abort_on_error=1:print_stacktrace=1
# libstdc++ is preloaded, too. With a node that links it statically, the sanitizer would otherwise not find
# the __cxa_throw that it must intercept.
preload=$runtime:$("$compiler" -print-file-name=libstdc++.so.6)

# lib/addon.ts would try build/Release if this addon did not load, so check that it does.
if [[ $(readelf --wide --dyn-syms "$LATTE_ADDON") != *__asan_init* ]]; then
  echo "$LATTE_ADDON was not built with AddressSanitizer" >&2
  exit 1
fi
env LD_PRELOAD="$preload" node -e 'process.dlopen({ exports: {} }, process.env.LATTE_ADDON)'

# With it vitest.config.mjs leaves out tests that a sanitizer makes fail. Only node and its child processes
# run under the sanitizer, not npm and the shell.
export LATTE_SANITIZER=1
status=0
"${on[@]}" LD_PRELOAD="$preload" node node_modules/vitest/vitest.mjs run --project unit --project slow \
  "$@" </dev/null || status=$?

for report in "$findings"/report.*; do
  [ -e "$report" ] || continue
  # A refused allocation is only a warning.
  if grep -Eq 'ERROR: AddressSanitizer|runtime error:|CHECK failed' "$report"; then
    status=1
    printf '\nSanitizer finding in process %s:\n' "${report##*.}" >&2
    cat "$report" >&2
  fi
done
exit "$status"
