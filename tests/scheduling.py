"""Which process of `pytest -n` runs what: a file at a time, but for what shares a set-up, or mostly waits.

In the order of their names (`--no-loadscope-reorder`): those with the most tests first, as xdist would have it, leaves
the slowest to the end, with one process alone.
"""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadFileScheduling

#: By what their paths begin with.
_TOGETHER: Final = {
    # One `up` through the real gcloud, from which nearly every test there starts.
    "tests/gcloud/": "gcloud",
    # Whole local clouds, one after the other: each is a dozen processes, that mostly wait for each other.
    "tests/chaos/": "clouds",
    "tests/e2e/": "clouds",
    "tests/monitoring/test_alert_path.py": "clouds",
}


class Together(LoadFileScheduling):
    """`--dist loadfile`, with some files together."""

    def _split_scope(self, nodeid: str) -> str:
        for start, together in _TOGETHER.items():
            if nodeid.startswith(start):
                return together
        scope: str = super()._split_scope(nodeid)
        return scope
