"""Which process of `pytest -n` runs what: a file at a time, but for what shares a set-up of a minute.

In the order of their names (`--no-loadscope-reorder`): those with the most tests first, as xdist would have it, leaves
the slowest to the end, with one process alone.
"""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadFileScheduling

#: One `up` through the real gcloud, from which nearly every test there starts.
_TOGETHER: Final = ("tests/gcloud",)


class FewSetUps(LoadFileScheduling):
    """`--dist loadfile`, with some folders whole."""

    def _split_scope(self, nodeid: str) -> str:
        for folder in _TOGETHER:
            if nodeid.startswith(f"{folder}/"):
                return folder
        scope: str = super()._split_scope(nodeid)
        return scope
