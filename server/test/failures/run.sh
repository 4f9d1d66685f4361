#!/usr/bin/env bash
# Builds the service if that has not been done, and runs main.mjs with the options "$@". Needs
# haproxy.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
server/serve.sh --help >/dev/null
exec node server/test/failures/main.mjs "$@"
