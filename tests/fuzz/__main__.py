"""Fuzz one target: `python -m tests.fuzz classifier --minutes 10`, or `--runs 20000 --seed 1`.

The corpus grows in build/fuzz/TARGET; an input that breaks the target is written beside it, and ends the run with
exit status 77 (https://github.com/google/atheris, https://llvm.org/docs/LibFuzzer.html).
"""

from __future__ import annotations

import argparse
import resource
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["shared", "functions"], enable_loader_override=False):
    from tests.fuzz.targets import TARGETS
from tests.fuzz import corpus
from tests.fuzz.mutator import json_mutator

#: A little more than the classifier looks at.
_LONGEST_BYTES = 6000
_MOST_BYTES = 2 * 2**30


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.fuzz")
    parser.add_argument("target", choices=TARGETS)
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float)
    length.add_argument("--runs", type=int)
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"))
    asked = parser.parse_args()
    folder = asked.folder / asked.target
    corpus.write(asked.target, folder)
    until = f"-runs={asked.runs}" if asked.runs else f"-max_total_time={round(asked.minutes * 60)}"
    options = [until, f"-seed={asked.seed}", f"-max_len={_LONGEST_BYTES}", "-print_final_stats=1", "-timeout=10"]
    # What this process itself wrote would be run again, as another's, whenever a second has gone by.
    options += ["-reload=0"]
    # libFuzzer's own limit is by the most memory so far, and Linux hands that down from whoever started this process.
    options += ["-rss_limit_mb=0"]
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_BYTES, _MOST_BYTES))
    prefix = f"-artifact_prefix={asked.folder}/{asked.target}-"
    is_json = asked.target == "parsers"
    more = {"custom_mutator": json_mutator(lambda data, size: atheris.Mutate(data, size))} if is_json else {}
    atheris.Setup([sys.argv[0], *options, prefix, str(folder)], TARGETS[asked.target], **more)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
