"""What a job costs: the seconds of each machine times its rate, beside what other routes would have cost.

Counted are all attempts, failed and lost ones too (a lost one up to its last beat), and each worker's start, which
the job it took first carries. Not counted: functions, storage, network, and the time a worker waits for work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from shared.job import Job
from shared.machines import Machine
from shared.prices import Tariff

Route = Literal["cloud-run", "gke"]
#: `mixed` when a job worked on several machines whose other ways differ.
OtherRoute = Literal[Route, "mixed"]

#: The other way for work on this machine, and what the comparison leaves out.
_OTHER_WAY: Final[Mapping[Machine, tuple[Machine, Route, str]]] = {
    Machine.GPU_JOB: (
        Machine.GKE_POD,
        "gke",
        "in a pod on GKE, without its node's start and the cluster's fee",
    ),
    Machine.GKE_POD: (Machine.GPU_JOB, "cloud-run", "in the GPU Job, without an execution's start"),
    Machine.CPU_JOB: (Machine.GPU_JOB, "cloud-run", "in the GPU Job, at most: a GPU may be quicker"),
}
#: Digits of an amount: a second of a machine costs some hundredths of a cent.
_DIGITS: Final = 6


class _Estimated(BaseModel):
    model_config = ConfigDict(frozen=True)


class Alternative(_Estimated):
    """Each machine's seconds the other way, as in the view job_costs (monitoring/costs)."""

    route: OtherRoute
    amount: float
    why: str


class Cost(_Estimated):
    """An estimate from list prices, not a bill; all attempts so far, of all submissions."""

    currency: str
    amount: float
    #: The one that worked longest on the job.
    machine: Machine
    seconds: float
    #: Where the seconds were spent.
    machine_seconds: dict[Machine, float]
    prices_as_of: date
    #: In words: what the estimate is made of, and which prices are assumed.
    note: str
    alternative: Alternative


def other_machine(machine: Machine) -> Machine:
    """Where the same work would have run on the other route."""
    return _OTHER_WAY[machine][0]


def cost_of(job: Job, tariff: Tariff) -> Cost | None:
    """The estimate; None while no attempt has ended, and for records older than the counting."""
    spent = job.machine_seconds
    if not spent:
        return None
    return Cost(
        currency=tariff.currency,
        amount=_amount(spent.items(), tariff),
        machine=max(spent, key=lambda each: spent[each]),
        seconds=round(sum(spent.values()), 3),
        machine_seconds=dict(spent),
        prices_as_of=tariff.as_of,
        note=_note([*spent, *map(other_machine, spent)], tariff),
        alternative=_alternative(spent, tariff),
    )


def _alternative(spent: Mapping[Machine, float], tariff: Tariff) -> Alternative:
    # A worker that was lost before its first beat leaves 0 seconds.
    counted = {machine: seconds for machine, seconds in spent.items() if seconds} or spent
    routes = {_OTHER_WAY[machine][1] for machine in counted}
    ways = (f"the {seconds:.1f} s of {machine} {_OTHER_WAY[machine][2]}" for machine, seconds in counted.items())
    return Alternative(
        route=routes.pop() if len(routes) == 1 else "mixed",
        amount=_amount(((other_machine(machine), seconds) for machine, seconds in counted.items()), tariff),
        why=f"an estimate: {'; '.join(ways)}",
    )


def log_fields(job: Job, tariff: Tariff) -> dict[str, object]:
    """What the line that tells of a job's end says of its cost: of this submission, so that lines add up.

    The seconds of every machine are always there: BigQuery makes a column of what it has seen, and views name them.
    """
    before = job.machine_seconds_before
    spent = {each: seconds - before.get(each, 0.0) for each, seconds in job.machine_seconds.items()}
    return {
        "cost": _amount(spent.items(), tariff),
        "costSeconds": round(sum(spent.values()), 3),
        "machineSeconds": {each.replace("-", "_"): round(spent.get(each, 0.0), 3) for each in Machine},
    }


def _amount(spent: Iterable[tuple[Machine, float]], tariff: Tariff) -> float:
    return round(sum(seconds * tariff.rates[each].usd_per_second for each, seconds in spent), _DIGITS)


def _note(machines: list[Machine], tariff: Tariff) -> str:
    assumptions = dict.fromkeys(
        f"{machine}: {words}" for machine in machines if (words := tariff.rates[machine].assumption)
    )
    counted = "list prices for the machines' seconds; functions, storage, network and idle workers are not counted"
    return "; ".join([f"an estimate: {counted}", *assumptions])
