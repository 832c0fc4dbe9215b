"""python -m local run FILE | demo [FILE] | up"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from hubctl.errors import HubError
from local.needs import BadUsage
from local.run import run
from local.up import up
from shared.errors import JobError

_COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {"run": run, "demo": run, "up": up}


def main(arguments: Sequence[str], commands: Mapping[str, Callable[[argparse.Namespace], int]] = _COMMANDS) -> int:
    """Exit status 1 is a job that failed; 2 bad usage, 3 a cloud that cannot work, 130 interrupted."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    # The same way out as Ctrl-C: every `with` is left, and nothing stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asked = _parser().parse_args(arguments)
    try:
        return commands[asked.command](asked)
    except BadUsage as error:
        print(f"local: {error}", file=sys.stderr)
        return 2
    except (JobError, HubError) as error:
        print(f"local: {error.message}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("local: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="The whole cloud on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument("--model", type=Path, help="a folder with a CTranslate2 Whisper model (default: tiny.en)")
    one = commands.add_parser("run", parents=[model], help="start a cloud, put one file through it, print its record")
    one.add_argument("file", type=Path)
    demo = commands.add_parser("demo", parents=[model], help="the same with a recording of our own")
    demo.add_argument("file", type=Path, nargs="?")
    for command in (one, demo):
        command.add_argument("--operations", help="probe,transcribe,… or a JSON list; default: by the file's kind")
        command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    keep = commands.add_parser("up", parents=[model], help="keep a cloud running until Ctrl-C")
    keep.add_argument("--gke", action="store_true", help="let overflow go to the GKE stand-in")
    keep.add_argument("--gpu-slots", type=int, default=1, help="GPU executions at once (default 1)")
    keep.add_argument("--monitoring", action="store_true", help="run Prometheus and Alertmanager with the alert rules")
    keep.add_argument("--key", help="the API key (default: a random one)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
