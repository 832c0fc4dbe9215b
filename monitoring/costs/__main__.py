"""python -m monitoring.costs prices | views: what `bq` is given (README.md)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from monitoring.costs.price_rows import rows
from monitoring.costs.sql import VIEWS, names, view
from shared.prices import tariff


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m monitoring.costs", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    prices = commands.add_parser("prices", help="the price list's rows, as JSON lines for `bq load`")
    prices.add_argument("--region", required=True, help="of the CPU Job and the cluster")
    prices.add_argument("--gpu-region", required=True, help="of the GPU Job")
    views = commands.add_parser("views", help="the statements that make the views, for `bq query`")
    views.add_argument("--dataset", required=True, help="project.dataset of the views and prices")
    views.add_argument("--billing-export", required=True, help="project.dataset.table of the billing export")
    views.add_argument("--logs", required=True, help="project.dataset linked to the log bucket")
    views.add_argument("--project", action="append", required=True, help="whose bill it is; repeatable")
    asked = parser.parse_args(arguments)
    if asked.command == "prices":
        sys.stdout.writelines(line + "\n" for line in rows(tariff(asked.region, asked.gpu_region)))
        return 0
    filled = names(dataset=asked.dataset, billing_export=asked.billing_export, logs=asked.logs, projects=asked.project)
    sys.stdout.write("\n".join(view(name, filled) for name in VIEWS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
