"""Who is turned away, and how far an allowance can be passed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.admission import admit
from shared.api_keys import ApiKey
from shared.errors import Overloaded, Unavailable
from shared.store import Marker
from tests.fakes.objects import FakeObjects
from tests.fakes.services import FakeServices, fake_services
from tests.fakes.world import World, request
from tests.unit.samples import job


def key(allowance: int | None, name: str = "shop") -> ApiKey:
    return ApiKey.model_validate({"name": name, "key": "k", "allowance": allowance})


def refusal(caller: ApiKey, services: FakeServices) -> str | None:
    try:
        admit(caller, services)
    except Overloaded as error:
        return error.reason_code
    return None


@pytest.mark.parametrize(("waiting", "code"), [(None, None), (0, None), (99, None), (100, "backlog_full")])
def test_a_backlog_is_full_at_its_limit_and_one_that_is_not_known_admits(waiting: int | None, code: str | None) -> None:
    services = fake_services(max_backlog=100)
    services.work_backlog.number = waiting
    assert refusal(key(None), services) == code


def test_an_allowance_counts_the_callers_own_unfinished_jobs() -> None:
    world = World()
    for number in range(3):
        assert refusal(key(3), world.services) is None
        world.submit(request(world.services, idempotency_key=f"shop\0{number}"))
    assert refusal(key(3), world.services) == "allowance_used"
    assert refusal(key(3, "till"), world.services) is None
    assert refusal(key(None), world.services) is None
    world.settle()
    assert refusal(key(3), world.services) is None


def test_a_name_that_begins_with_anothers_is_counted_apart(services: FakeServices) -> None:
    services.store.mark_open(Marker("1", "shop-two"))
    assert refusal(key(1), services) is None
    assert refusal(key(1, "shop-two"), services) == "allowance_used"


def test_counting_is_one_bounded_listing(services: FakeServices) -> None:
    for number in range(50):
        services.store.mark_open(Marker.of(job(str(number))))
    before = len(services.faults.calls)
    assert services.store.count_open("shop", limit=7) == 7
    assert services.faults.calls[before:] == ["objects.list open/shop/"]


def test_a_caller_without_an_allowance_costs_nothing(services: FakeServices) -> None:
    admit(key(None), services)
    assert services.faults.calls == []


def test_a_count_that_cannot_be_had_is_told(services: FakeServices) -> None:
    services.faults.fail_next("objects.list open/", Unavailable("storage is down"))
    with pytest.raises(Unavailable):
        admit(key(1), services)


def test_requests_at_the_same_moment_pass_an_allowance_by_no_more_than_themselves() -> None:
    """At worst each of them counts before any of the others is marked."""
    at_once, allowance = 8, 3
    world = World(fake_services(side_by_side=ThreadPoolExecutor(16), objects=FakeObjects()))
    counted = threading.Barrier(at_once)

    def submit(number: int, *, together: bool) -> bool:
        if refusal(key(allowance), world.services):
            return False
        if together:
            counted.wait(10)
        world.submit(request(world.services, idempotency_key=f"shop\0{together}{number}"))
        return True

    for number in range(allowance - 1):
        assert submit(number, together=False)
    with ThreadPoolExecutor(at_once) as pool:
        admitted = sum(pool.map(lambda number: submit(number, together=True), range(at_once)))
    assert admitted == at_once
    assert world.services.store.count_open("shop", limit=1000) == allowance - 1 + at_once
    assert not submit(99, together=False)
