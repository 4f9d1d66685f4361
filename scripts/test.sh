#!/usr/bin/env bash
# All that a change must pass before it is merged, from a fresh clone: installs missing tools, builds, checks
# and tests. Goes on after a failure, so that one run shows all of them. CONTRIBUTING.md lists what a release
# needs beside this.
#
# The last line is `N passed, N failed` on its own: the tests of all vitest runs (the suite, parts
# of it on other versions of Node.js, under sanitizers and on simulated NPUs, the packaging tests). A
# build, a check or a run that fails without naming a test counts as one failure more. The exit status
# is 0 only when nothing failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/setup.sh
. scripts/lib/setup.sh
export CI=true

reports=$(mktemp -d "${TMPDIR:-/tmp}/latte-test.XXXXXX")
runs=0
passed=0
failed=0
failures=()

finish() {
  local status=$?
  trap - EXIT
  rm -rf "$reports"
  # No check has failed: set -e, a signal, or missing tools ended the script.
  if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
  echo
  [ "${#failures[@]}" -eq 0 ] || printf 'FAILED: %s\n' "${failures[@]}"
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ] || exit "$((status == 0 ? 1 : status))"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  failed=$((failed + 1))
  failures+=("$1")
}

# check <title> <command …>: runs a check, which passes or fails as a whole.
check() {
  local title=$1 started=$SECONDS
  shift
  latte_say "$title"
  if "$@" </dev/null; then
    echo "-- $title: $((SECONDS - started)) s"
  else
    fail "$title (exit status $?)"
    echo "-- $title: failed after $((SECONDS - started)) s"
    return 1
  fi
}

# beside <title> <command …>: starts a check that uses one processor. `together` waits for all that were
# started, and prints what each of them wrote, one after the other.
titles=()
processes=()
beside() {
  titles+=("$1")
  shift
  "$@" </dev/null >"$reports/beside.${#processes[@]}" 2>&1 &
  processes+=("$!")
}
ended() {
  local status=0
  wait "${processes[$1]}" || status=$?
  cat "$reports/beside.$1"
  return "$status"
}
together() {
  local number status=0
  for number in "${!processes[@]}"; do check "${titles[number]}" ended "$number" || status=1; done
  titles=()
  processes=()
  return "$status"
}

# count_tests <report>: prints `<passed> <failed>` of vitest's JSON reporter. A test that never ended,
# because its process died, counts as failed, and so does a file that could not be loaded.
count_tests() {
  node -p '
    const files = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8")).testResults;
    const count = (file, ...of) => file.assertionResults.filter((test) => of.includes(test.status)).length;
    const sum = (counts) => counts.reduce((a, b) => a + b, 0);
    const failed = files.map((file) => {
      const tests = count(file, "failed", "pending");
      return file.status === "failed" ? Math.max(tests, 1) : tests;
    });
    `${sum(files.map((file) => count(file, "passed")))} ${sum(failed)}`;
  ' "$1"
}

# suite <title> <command …>: a vitest run; the command takes vitest's options at its end.
suite() {
  local title=$1 started=$SECONDS status=0 counts report
  runs=$((runs + 1))
  report=$reports/$runs.json
  shift
  latte_say "$title"
  "$@" --reporter=default --reporter=json --outputFile.json="$report" </dev/null || status=$?
  echo "-- $title: $((SECONDS - started)) s"
  if ! counts=$(count_tests "$report"); then
    fail "$title (exit status $status, no report)"
    return 1
  fi
  local ran_passed ran_failed
  read -r ran_passed ran_failed <<<"$counts"
  passed=$((passed + ran_passed))
  failed=$((failed + ran_failed))
  if [ "$ran_failed" -gt 0 ]; then
    failures+=("$title ($ran_failed tests)")
  elif [ "$status" -ne 0 ] || [ "$ran_passed" -eq 0 ]; then
    fail "$title (exit status $status, $ran_passed tests passed)"
  fi
}

latte_ensure_tools build check
check 'Dependencies' latte_npm_ci || exit 1
# The type checker and ESLint look at the benchmarks, too. What the example installs is what
# latte-embeddings is tested with: onnxruntime-node and transformers.js, whose install scripts would
# fetch GPU libraries.
for folder in bench examples/sample server; do
  beside "Dependencies of $folder" npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund
done
together || exit 1

built=yes
check 'Build' latte_build --werror || built=no
beside 'ESLint' npm run --silent lint
beside 'Type check' npm run --silent typecheck
beside 'Format' npm run --silent format:check
beside 'Layering' npm run --silent check:layers
beside 'API reference' npm run --silent check:docs
beside 'What GCC 10 lacks' scripts/check-gcc10.sh
together || true

if [ "$built" = yes ]; then
  check 'Shared libraries' npm run --silent check:libraries || true
  check 'clang-tidy' npm run --silent lint:native || true
  suite 'Tests' npm run test:all -- || true
  suite 'Tests of the service' npm run test:server -- || true
  check 'Replicas that end under load' server/test/failures/run.sh --requests 1000 || true
  # What users install; the prebuilt addon of AArch64 also runs under emulation below.
  check 'Prebuilt addons' scripts/build-prebuilds.sh x64 arm64 &&
    suite 'Packaging tests' npm run test:package -- || true
  # The tests that depend on Node.js. Most files of test/parity compare only kernels.
  for version in 22 26; do
    suite "Tests on Node.js $version" scripts/test-node-versions.sh "$version" -- \
      interop layers lifecycle || true
  done
  # The tests that use the addon's memory. `npm run test:sanitize` also runs the command line and the readers
  # of checkpoints, which are TypeScript, tests that measure memory, and those that compute the same cases
  # with other numbers of threads, other instruction sets or larger sizes.
  suite 'Tests under sanitizers' npm run test:sanitize -- \
    device layers lifecycle/0{1,2,3,4,5,7,8} native checkpoint/{golden,latte,resources,transformer} \
    parity/{golden,golden-family,parity}.test.ts || true
  # One round measures no speed. It shows that the benchmark runs, and that the peers compute the same.
  check 'Benchmarks' bench/run.sh patch-1 caption-120 timestep-2 event-loop memory \
    sd3-patch cogvideox-patch flux-image sana-condition \
    --rounds 1 --python none --chart build/benchmarks.svg || true
  check 'Whole runs' bench/run.sh runs --small --prompts 2 || true
  check 'System calls of a forward' test/performance/count-system-calls.sh --check 8 || true

  # The NPU path, on a simulated CANN installation: the whole suite on a 910B with the kernels plugin; the
  # tests that compute also without it, without the fused kernel, and on the first 910.
  on_npus=(parity/{exact,golden,golden-family,parity,properties,residency,rounding}.test.ts checkpoint/golden)
  if check 'Twin' npm run --silent build:twin; then
    suite 'Tests on the twin' scripts/twin.sh npm run test:all -- || true
    suite 'Tests of the service on the twin' scripts/twin.sh npm run test:server -- || true
    suite 'Tests on the twin without kernels' env LATTE_ASCEND_KERNELS=off \
      scripts/twin.sh npm run test:all -- npu/{faults,in-flight,launches,memory,opening,tensors,timestep} \
      npu/{traffic,unregistered,uploads} "${on_npus[@]}" || true
    suite 'Tests on the twin without the fused kernel' env LATTE_ASCEND_FUSED_PATCH=0 \
      LATTE_ASCEND_KERNEL_BINARY=off \
      scripts/twin.sh npm run test:all -- npu/launches npu/faults "${on_npus[@]}" || true
    suite 'Tests on the twin as the first 910' env LATTE_TWIN_SOC=Ascend910A \
      scripts/twin.sh npm run test:all -- npu/launches npu/faults "${on_npus[@]}" || true
    suite 'Tests on the twin under sanitizers' npm run test:sanitize -- --twin \
      npu/{faults,in-flight,memory,opening,replay,tensors,uploads} parity/residency \
      checkpoint/golden || true
  else
    fail 'Tests on the twin (not run)'
  fi
  check 'Device threads' npm run --silent test:sanitize -- threads || true
  if [ "$(uname -m)" = x86_64 ] && command -v apt-get >/dev/null; then
    check 'AArch64 under emulation' scripts/check-aarch64.sh || true
  else
    echo 'Not run here: scripts/check-aarch64.sh, which needs x86-64 and apt-get.'
  fi
else
  echo 'The tests need the build, so they did not run.' >&2
  fail 'Tests (not run)'
fi
