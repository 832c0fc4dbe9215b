"""The price list says where it comes from, and a deployment's rates follow from it and the machines' sizes."""

from __future__ import annotations

import re
from datetime import date

import pytest

from shared.machines import Machine
from shared.prices import Price, Rates, Size, listed, rate, sizes, tariff
from shared.resources import declared

RATES = Rates(
    product="a machine",
    page="https://example.com",
    regions=("here",),
    vcpu=Price(usd=3600.0, per="hour", seen="2026-01-01, nowhere"),
    gib=Price(usd=0.5, per="second", seen="2026-01-01, nowhere"),
    gpu=Price(usd=10.0, per="second", seen="2026-01-01, nowhere"),
)


def test_every_machine_is_priced_and_every_price_says_when_and_where_it_was_seen() -> None:
    prices = listed()
    assert set(prices.machines) == set(Machine)
    for rates in prices.machines.values():
        assert rates.page.startswith("https://cloud.google.com/")
        for price in (rates.vcpu, rates.gib, rates.gpu):
            assert price is None or re.match(r"20\d\d-\d\d-\d\d\b.*, \w+", price.seen), rates.product


def test_no_price_is_newer_than_the_list() -> None:
    prices = listed()
    for rates in prices.machines.values():
        for price in filter(None, (rates.vcpu, rates.gib, rates.gpu)):
            assert date.fromisoformat(price.seen[:10]) <= prices.as_of


@pytest.mark.parametrize(
    ("size", "usd"), [(Size(2, 4, 0), 2 * 1 + 4 * 0.5), (Size(2, 4, 1), 2 * 1 + 4 * 0.5 + 10), (Size(1, 0, 0), 1.0)]
)
def test_a_rate_is_the_sum_of_what_the_machine_has(size: Size, usd: float) -> None:
    assert rate(RATES, size, "here").usd_per_second == pytest.approx(usd)


def test_a_gpu_without_a_price_is_an_error_and_not_free() -> None:
    with pytest.raises(ValueError, match="GPU"):
        rate(RATES.model_copy(update={"gpu": None}), Size(1, 1, 1), "here")


def test_a_region_that_is_not_listed_is_priced_and_said_to_be_assumed() -> None:
    assert rate(RATES, Size(1, 1, 0), "here").assumption is None
    elsewhere = rate(RATES, Size(1, 1, 0), "elsewhere")
    assert elsewhere.usd_per_second == rate(RATES, Size(1, 1, 0), "here").usd_per_second
    assert elsewhere.assumption == "no price was found for elsewhere: here's is assumed"


def test_an_assumed_price_is_said_to_be_one() -> None:
    guess = RATES.model_copy(update={"gib": RATES.gib.model_copy(update={"assumed": True})})
    assert rate(guess, Size(1, 1, 0), "here").assumption == "a price of a machine is assumed"


def test_sizes_are_those_that_are_declared() -> None:
    jobs = declared().jobs
    size = sizes(declared())
    assert size[Machine.GPU_JOB] == Size(jobs["gpu"].cpu, float(jobs["gpu"].memory.removesuffix("Gi")), 1)
    assert size[Machine.CPU_JOB].gpus == 0


def test_each_machine_is_priced_in_its_own_region() -> None:
    rates = tariff("asia-northeast1", "us-central1").rates
    assert {machine: each.region for machine, each in rates.items()} == {
        Machine.GPU_JOB: "us-central1",
        Machine.CPU_JOB: "asia-northeast1",
        Machine.GKE_POD: "asia-northeast1",
    }
    assert [machine for machine, each in rates.items() if each.assumption] == [Machine.GKE_POD]


def test_an_hour_of_each_machine_costs_what_it_is_known_to() -> None:
    """8 vCPU and 32 GiB with an L4, or half of it without: the sums one makes by hand from the price pages."""
    rates = tariff("us-central1", "us-central1").rates
    hours = {machine: round(each.usd_per_second * 3600, 4) for machine, each in rates.items()}
    assert hours == {Machine.GPU_JOB: 1.4209, Machine.CPU_JOB: 0.3744, Machine.GKE_POD: 0.9558}
