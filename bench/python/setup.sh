#!/usr/bin/env bash
# Makes bench/python/.venv with the Python peers, each by pip. A peer that cannot be installed is
# left out: the benchmark asks each peer whether it is there, and reports those that are not. numpy
# is older than 2 because MindSpore was compiled for that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
while read -r package; do
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "$package" ||
    echo "$package could not be installed here" >&2
done <requirements.txt
