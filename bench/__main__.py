"""python -m bench [ingest] [pipeline] [autoscaling] [media]: all when none is named; exit 1 for a broken promise.

`media` has options of its own, when it is the only one: python -m bench media --help.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import takewhile

from bench import autoscaling, ingest, media, pipeline

TARGETS = {"ingest": ingest.main, "pipeline": pipeline.main, "autoscaling": autoscaling.main, "media": media.main}


def main(words: Sequence[str]) -> int:
    chosen = list(takewhile(lambda word: not word.startswith("-"), words))
    options = words[len(chosen) :]
    if options and chosen == ["media"]:
        return 0 if media.main(options) else 1
    if unknown := [*(name for name in chosen if name not in TARGETS), *options]:
        print(f"bench: no {', '.join(unknown)}; there are {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    return 0 if all([TARGETS[name]() for name in chosen or TARGETS]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
