#!/usr/bin/env bash
# Puts nca-fanout on Google Cloud: `./deploy.sh --help`. Finds a Python with what it needs; the rest is deploy/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly venv=build/deploy-venv
readonly lists=deploy/requirements.txt

can_deploy() {
  "$1" -c 'import sys, google.auth, pydantic, yaml; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

for python in .venv/bin/python "$venv/bin/python"; do
  if [[ -x $python ]] && can_deploy "$python"; then
    exec "$python" -m deploy "$@"
  fi
done

for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
  if [[ -n $candidate ]] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "setting up $venv …" >&2
    "$candidate" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$lists" >&2
    exec "$venv/bin/python" -m deploy "$@"
  fi
done

echo "Python 3.11 or newer is needed; set PYTHON=…" >&2
exit 1
