#!/usr/bin/env bash
# Makes server/bench/.venv with the peer, by pip. mlserver 1.7.1 needs Python 3.9 to 3.12.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
