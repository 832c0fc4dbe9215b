"""python -m bench [ingest] [pipeline] [autoscaling]: all when none is named; exit 1 when a promise does not hold."""

import sys

from bench import autoscaling, ingest, pipeline

TARGETS = {"ingest": ingest.main, "pipeline": pipeline.main, "autoscaling": autoscaling.main}

if __name__ == "__main__":
    chosen = sys.argv[1:] or list(TARGETS)
    if unknown := set(chosen) - set(TARGETS):
        print(f"bench: no {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if all([TARGETS[name]() for name in chosen]) else 1)
