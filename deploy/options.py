"""The command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

_EPILOG: Final = """\
the first time:  prepare; models into gs://PROJECT-nca-models/gpu and /cpu; let Cloud Build make the images; up
a release:       canary 10, watch, promote, smoke, cleanup; rollback at any time
exit status:     0 done, 1 failed (one sentence says why), 2 bad usage
"""


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="./deploy.sh",
        description="Puts nca-fanout on Google Cloud and keeps it there. Every command may be given again.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    everything = _shared()

    def add(name: str, words: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=words, description=words, parents=[everything])

    add("prepare", "make what the first build of images needs: APIs, accounts, buckets, registry")
    add("up", "create or update everything, and send all traffic to it")
    plan = add("plan", "print every command of `up`, in order, and run none")
    plan.add_argument("--live", action="store_true", help="compare with the project and print only what differs")
    plan.add_argument("--project-number", help="fill it in; without --live the project is not asked")
    canary = add("canary", "deploy functions beside what runs, and give them a share of the calls")
    canary.add_argument("percent", type=_percent, help="their share, 0 to 99")
    watch = add("watch", "compare the canary's errors and latency with what serves; exit 1 when it is worse")
    watch.add_argument("--minutes", type=float, default=15, help="for how long (15)")
    watch.add_argument("--promql-url", help="base of another Prometheus API than the project's own")
    add("promote", "Jobs to the canary's version, then all traffic to it")
    rollback = add("rollback", "end a canary, or go back to what served before the last promotion")
    rollback.add_argument("--canary-only", action="store_true", help="end a canary; without one, do nothing")
    add("cleanup", "delete old revisions, emptied subscriptions, policies without a rule, rights beyond the table")
    add("status", "what runs at which revision, what waits, what failed")
    smoke = add("smoke", "send one small file through the deployed hub and wait for its result")
    smoke.add_argument("--file", type=Path, help="another file than a short tone")
    smoke.add_argument("--url", help="another address than the deployed ingest's")
    smoke.add_argument("--patience", type=float, default=900, help="seconds until it must be done (900)")
    gke = add("gke", "the cluster for what the GPU Job has no room for")
    gke.add_argument("direction", choices=("up", "down"))
    gke.add_argument("--max-replicas", type=int, help="most pods at once; without it the overlay's number")
    destroy = add("destroy", "take everything down but data: buckets and images stay")
    destroy.add_argument("--buckets", action="store_true", help="delete buckets and what is in them, too")
    destroy.add_argument("--yes", action="store_true", help="do not ask (prod asks all the same)")
    return whole


def _shared() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    where = shared.add_argument_group("where")
    where.add_argument("--project", required=True)
    where.add_argument("--region", required=True, help="of everything but the GPU Job, e.g. asia-northeast1")
    where.add_argument("--gpu-region", help="of the GPU Job; Cloud Run has L4s in few regions (--region's)")
    where.add_argument("--env", required=True, choices=("stg", "prod"))
    what = shared.add_argument_group("what")
    what.add_argument("--version", help="tag of the workers' images (the commit)")
    what.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another value of a setting")
    what.add_argument("--secrets-dir", type=Path, help="files named after secrets' settings, e.g. N8N_ALERT_URL")
    what.add_argument("--alert-email", help="whom to mail when alerts do not get through")
    what.add_argument("--billing-account", help="for a budget")
    what.add_argument("--budget", type=int, help="a month's, in the billing account's currency")
    what.add_argument("--repository", help="where the repository's files can be read: links to runbooks")
    care = shared.add_argument_group("care")
    care.add_argument("--no-gpu-check", action="store_true", help="do not ask for the L4 and its quota")
    care.add_argument("--stg-project", help="prod: where this version must have run first")
    care.add_argument("--stg-hours", type=float, default=24, help="for how long (24)")
    care.add_argument("--force", action="store_true", help="prod without stg")
    return shared


def _percent(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 99:
        raise argparse.ArgumentTypeError("0 to 99; `promote` is for all of it")
    return number


def settings_of(pairs: list[str]) -> dict[str, str]:
    """--set NAME=VALUE …; raises ValueError for one without `=`."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--set {pair}: NAME=VALUE is wanted")
        found[name] = value
    return found
