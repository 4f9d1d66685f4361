#!/usr/bin/env bash
# Tests with real clients and schemas: makes server/test/python/.venv, then runs the parts that are
# named (default: all).
#   clients    starts this checkout's service, and runs a whole session by tritonclient and kserve
#   proto      compares the numbers of our .proto with those that tritonclient was built with
#   manifests  validates server/deploy against the schemas of Kubernetes and KServe's types
#   perf       runs perf_analyzer; PyPI's needs glibc 2.38
# Needs Python 3.10 or newer, and the network for pip.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(cd ../../.. && pwd)
python=$PWD/.venv/bin/python
[ -x "$python" ] || "${PYTHON:-python3}" -m venv .venv
if [ ! .venv/.installed -nt requirements.txt ]; then
  "$python" -m pip install --quiet --disable-pip-version-check -r requirements.txt
  touch .venv/.installed
fi

server=
log=$(mktemp "${TMPDIR:-/tmp}/latte-serve.XXXXXX")
stop() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -f "$log" "$log.npz"
}
trap stop EXIT

# Starts the service with the small checkpoint; sets $http and $grpc.
start() {
  [ -z "$server" ] || return 0
  "$root/server/serve.sh" --model "$root/test/checkpoint/fixtures/models/latte-odd" \
    --device cpu --http 0 --grpc 0 >"$log" &
  server=$!
  until grep -q '"ready' "$log"; do
    kill -0 "$server" 2>/dev/null || { echo 'The service did not start.' >&2; exit 1; }
    sleep 0.2
  done
  http=$(sed -n 's/.*"http":\([0-9]*\).*/\1/p' "$log" | head -n 1)
  grpc=$(sed -n 's/.*"grpc":\([0-9]*\).*/\1/p' "$log" | head -n 1)
}

[ "$#" -gt 0 ] || set -- clients proto manifests
for what in "$@"; do
  case $what in
    clients)
      start
      answer=$log.npz
      "$python" client_triton.py "127.0.0.1:$http" "127.0.0.1:$grpc" "$answer"
      "$python" client_kserve.py "127.0.0.1:$http" "127.0.0.1:$grpc" "$answer"
      ;;
    proto) "$python" proto.py "$root/server/proto/inference.proto" ;;
    manifests)
      .venv/bin/kubernetes-validate --strict "$root/server/deploy/kubernetes.yaml"
      "$python" kserve_manifests.py "$root/server/deploy/kserve.yaml"
      ;;
    perf)
      start
      "$python" -m pip install --quiet --disable-pip-version-check 'perf-analyzer>=2'
      for protocol in http grpc; do
        port=$http
        [ "$protocol" = http ] || port=$grpc
        .venv/bin/perf_analyzer -m conditioning -i "$protocol" -u "127.0.0.1:$port" \
          --shape caption:2,8,20 --shape timesteps:4 --input-data zero --concurrency-range 4 --request-count 200
      done
      ;;
    *)
      echo "There is no '$what': clients, proto, manifests, perf." >&2
      exit 2
      ;;
  esac
done
