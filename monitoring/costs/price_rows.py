"""The price list as rows of the table `prices`: the same numbers that the API's estimates are made of."""

from __future__ import annotations

import json
from collections.abc import Iterator

from shared.costs import other_machine
from shared.prices import Tariff


def rows(tariff: Tariff) -> Iterator[str]:
    """One JSON line for each machine."""
    for machine, rate in tariff.rates.items():
        yield json.dumps(
            {
                "machine": machine,
                "region": rate.region,
                "usd_per_second": rate.usd_per_second,
                "other_usd_per_second": tariff.rates[other_machine(machine)].usd_per_second,
                "as_of": tariff.as_of.isoformat(),
                "assumption": rate.assumption,
            }
        )
