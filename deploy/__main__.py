"""python -m deploy COMMAND, as deploy.sh calls it."""

from __future__ import annotations

import sys

from deploy.cli import main

sys.exit(main(sys.argv[1:]))
