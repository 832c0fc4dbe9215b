"""The price list (prices.toml), and what one second of each machine costs in a deployment's regions."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.machines import Machine
from shared.resources import Resources, declared

_FILE: Final = Path(__file__).with_name("prices.toml")
_SECONDS: Final = {"second": 1, "hour": 3600}


class _Listed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Price(_Listed):
    usd: Annotated[float, Field(gt=0)]
    per: Literal["second", "hour"]
    #: The day, and where it was seen.
    seen: Annotated[str, Field(min_length=10)]
    #: Nobody has seen it; an estimate that uses it says so.
    assumed: bool = False

    @property
    def per_second(self) -> float:
        return self.usd / _SECONDS[self.per]


class Rates(_Listed):
    product: str
    page: str
    regions: tuple[str, ...]
    vcpu: Price
    gib: Price
    gpu: Price | None = None


class Prices(_Listed):
    currency: Literal["USD"]
    as_of: date
    machines: Mapping[Machine, Rates]


def listed(file: Path = _FILE) -> Prices:
    return Prices.model_validate(tomllib.loads(file.read_text()))


@dataclass(frozen=True, slots=True)
class Size:
    vcpus: float
    gib: float
    gpus: int


def sizes(resources: Resources) -> Mapping[Machine, Size]:
    """Every machine's size. A gpu-runner pod asks for what the GPU Job has: a test compares k8s/ with it."""
    gpu, cpu = (
        Size(job.cpu, float(job.memory.removesuffix("Gi")), 1 if job.gpu else 0)
        for job in (resources.jobs["gpu"], resources.jobs["cpu"])
    )
    return {Machine.GPU_JOB: gpu, Machine.CPU_JOB: cpu, Machine.GKE_POD: gpu}


@dataclass(frozen=True, slots=True)
class Rate:
    """What one second of a machine costs in its region."""

    region: str
    usd_per_second: float
    #: In words, where not every price was seen for this region.
    assumption: str | None = None


@dataclass(frozen=True, slots=True)
class Tariff:
    currency: str
    as_of: date
    rates: Mapping[Machine, Rate]


@cache
def tariff(region: str, gpu_region: str) -> Tariff:
    """The rates of a deployment: the CPU Job and the cluster are in `region`, the GPU Job in `gpu_region`."""
    prices, size = listed(), sizes(declared())
    places = {Machine.GPU_JOB: gpu_region, Machine.CPU_JOB: region, Machine.GKE_POD: region}
    rates = {machine: rate(prices.machines[machine], size[machine], places[machine]) for machine in Machine}
    return Tariff(prices.currency, prices.as_of, rates)


def rate(rates: Rates, size: Size, region: str) -> Rate:
    used = [(size.vcpus, rates.vcpu), (size.gib, rates.gib)]
    if size.gpus:
        if rates.gpu is None:
            raise ValueError(f"{rates.product}: a GPU without a price")
        used.append((size.gpus, rates.gpu))
    assumption = None
    if region not in rates.regions:
        assumption = f"no price was found for {region}: {rates.regions[0]}'s is assumed"
    elif any(price.assumed for _, price in used):
        assumption = f"a price of {rates.product} is assumed"
    return Rate(region, sum(amount * price.per_second for amount, price in used), assumption)
