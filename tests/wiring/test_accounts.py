"""The table of who may what holds nothing that the code cannot do; tests/access watches what it does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from shared.lanes import CPU_QUEUES
from shared.resources import Account, declared
from shared.routing import Destination
from shared.settings import Settings
from tests.wiring import calls

RESOURCES = declared()
MONITORING = "roles/monitoring.viewer"
TRACES = "roles/telemetry.tracesWriter"
#: What runs under each account: an entry point, or a worker's `main`.
STARTS = {
    **{each.account: (f"functions.{name}", name) for name, each in RESOURCES.functions.items()},
    **{each.account: (f"workers.{name}.main", "main") for name, each in RESOURCES.jobs.items()},
    RESOURCES.gke.account: ("workers.gpu.main", "main"),
}

#: How code speaks of a bucket: by its setting, or by what can only be in it.
BUCKETS = {
    "uploads": {"uploads_bucket", "readable_buckets", "objects.download"},
    "results": {"results_bucket", "download_url"},
    "state": {"state_bucket"},
    "models": set(),
}


@dataclass(frozen=True)
class Uses:
    """What the code below one start does, by the names of the table."""

    topics: frozenset[str]
    queues: frozenset[str]
    jobs: frozenset[str]
    buckets: frozenset[str]
    pulls: bool
    signs: bool
    asks_monitoring: bool


def uses(start: calls.Place) -> Uses:
    nodes = used(start)
    made = [node for node in nodes if isinstance(node, ast.Call)]
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    attributes |= {".".join(method(call)) for call in made}
    return Uses(
        topics=frozenset(names(made, "topics", "publish")) & set(RESOURCES.topics.names),
        queues=frozenset(names(made, "queues", "enqueue")) & set(RESOURCES.queues),
        jobs=frozenset(name for name in RESOURCES.jobs if f"{name}_job" in started(made)),
        buckets=frozenset(name for name in RESOURCES.buckets if BUCKETS[name] & attributes),
        pulls=any(isinstance(node.func, ast.Name) and node.func.id == "PubSubSubscription" for node in made),
        signs="download_url" in attributes,
        asks_monitoring=any(method(node)[1] == "waiting" for node in made),
    )


def used(start: calls.Place) -> list[ast.AST]:
    """The settings' own code mentions every one of them, and uses none."""
    return [node for place in calls.reached(start) if place[0] != "shared.settings" for node in calls.body(place)]


def method(call: ast.Call) -> tuple[str, str]:
    """`….queues.enqueue(…)` is ("queues", "enqueue")."""
    match call.func:
        case ast.Attribute(value=ast.Attribute(attr=holder), attr=name):
            return holder, name
    return "", ""


def names(made: list[ast.Call], holder: str, name: str) -> Iterator[str]:
    """The first arguments; one that is only known at run time may be any destination, and any lane of it."""
    for call in made:
        if method(call) == (holder, name):
            match call.args[0]:
                case ast.Constant(value=str(text)):
                    yield text
                case _:
                    yield from (str(each) for each in (*Destination, *CPU_QUEUES.values()))


def started(made: list[ast.Call]) -> set[str]:
    """The settings that name the Jobs that are started."""
    found = [call.args[0] for call in made if method(call) == ("executions", "start")]
    return {each.attr for each in found if isinstance(each, ast.Attribute)}


def test_reader_tells_the_functions_of_one_module_apart() -> None:
    """`dead_letter` marks a job, and publishes no letter as `give_up` of the same module does."""
    reached = calls.reached(("functions.dead_letter", "dead_letter"))
    assert ("shared.dead_letters", "mark") in reached
    assert ("shared.dead_letters", "give_up") not in reached


def test_every_account_of_the_code_is_declared_and_has_one_start() -> None:
    others = {name for name in RESOURCES.accounts if name not in STARTS}
    assert set(STARTS) <= set(RESOURCES.accounts)
    assert all(not RESOURCES.accounts[name].topics and not RESOURCES.accounts[name].queues for name in others)


@pytest.mark.parametrize("name", STARTS)
def test_topics_queues_and_jobs_are_those_the_code_uses(name: str) -> None:
    account, found = RESOURCES.accounts[name], uses(STARTS[name])
    assert set(account.topics) <= found.topics
    assert set(account.queues) <= found.queues
    assert set(account.jobs) == found.jobs


@pytest.mark.parametrize("name", STARTS)
def test_buckets_are_those_the_code_names(name: str) -> None:
    assert set(RESOURCES.accounts[name].buckets) == uses(STARTS[name]).buckets


@pytest.mark.parametrize("name", STARTS)
def test_only_who_pulls_may_pull_and_only_who_signs_may_sign(name: str) -> None:
    account, found = RESOURCES.accounts[name], uses(STARTS[name])
    assert bool(account.subscriptions) is found.pulls
    assert account.signs is found.signs


@pytest.mark.parametrize("name", STARTS)
def test_only_who_routes_may_ask_for_the_backlog(name: str) -> None:
    assert (MONITORING in RESOURCES.accounts[name].project) is uses(STARTS[name]).asks_monitoring


@pytest.mark.parametrize("name", STARTS)
def test_only_who_makes_spans_may_write_them(name: str) -> None:
    makes = any(method(node) == ("tracer", "span") for node in used(STARTS[name]) if isinstance(node, ast.Call))
    assert (TRACES in RESOURCES.accounts[name].project) is makes


def test_pulled_subscriptions_are_the_settings_own() -> None:
    for account, lanes in (("nca-gpu-worker", "gpu"), ("gke-gpu-sa", "gke")):
        settings = (f"{lanes}_subscription", f"{lanes}_high_subscription")
        names = {Settings.model_fields[name].default for name in settings}
        assert set(RESOURCES.accounts[account].subscriptions) == names


@pytest.mark.parametrize("name", RESOURCES.functions)
def test_a_functions_secrets_are_the_settings_it_reads(name: str) -> None:
    read = {node.attr for node in used((f"functions.{name}", name)) if isinstance(node, ast.Attribute)}
    assert set(RESOURCES.functions[name].secrets) == {each for each in RESOURCES.secrets if each.lower() in read}


def test_whoever_is_pushed_to_or_called_by_tasks_may_be_called() -> None:
    (invoker,) = [each for each in RESOURCES.accounts.values() if "tokens" in each.does]
    pushed = {each.push_to for each in RESOURCES.subscriptions.values() if each.push_to}
    scheduled = {each.calls for each in RESOURCES.scheduler.values()}
    assert pushed | scheduled <= set(invoker.calls)
    private = {name for name, each in RESOURCES.functions.items() if not each.public}
    called = {function for account in RESOURCES.accounts.values() for function in account.calls}
    assert private <= called


def test_nobody_may_more_on_the_project_than_to_look_or_to_build() -> None:
    harmless = {MONITORING, TRACES, "roles/eventarc.eventReceiver", "roles/logging.logWriter",
                "roles/storage.objectViewer", "roles/artifactregistry.writer"}  # fmt: skip
    granted: set[str] = {role for account in RESOURCES.accounts.values() for role in account.project}
    assert granted <= harmless


def test_account_that_may_nothing_would_be_found() -> None:
    assert uses(STARTS["nca-dispatch"]) != uses(STARTS["nca-alert-relay"])
    assert Account(does="nothing").topics == ()
