"""python -m bench [ingest] [pipeline] [autoscaling] [media]: all when none is named; exit 1 for a broken promise."""

import sys

from bench import autoscaling, ingest, media, pipeline

TARGETS = {"ingest": ingest.main, "pipeline": pipeline.main, "autoscaling": autoscaling.main, "media": media.main}

if __name__ == "__main__":
    chosen = sys.argv[1:] or list(TARGETS)
    if unknown := set(chosen) - set(TARGETS):
        print(f"bench: no {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if all([TARGETS[name]() for name in chosen]) else 1)
