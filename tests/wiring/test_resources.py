"""resources.toml agrees with itself, with the settings' defaults and with the code that it calls."""

from __future__ import annotations

import importlib.util

import pytest

from functions.deliver import _TIMEOUT_SECONDS as POST_SECONDS
from shared.cpu_task import _MARGIN as ANSWER_MARGIN_SECONDS
from shared.resources import Function, declared
from shared.routing import Destination
from shared.settings import Settings

RESOURCES = declared()
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
#: Requests that bells, sweeps and short calls need beside the held ones, at least.
ROOM = 20


def room(function: Function) -> int:
    """Requests that one instance still takes when it holds as many as it may."""
    return function.concurrency - function.workers * function.max_held


def test_every_reference_names_something_declared() -> None:
    topics, functions = set(RESOURCES.topics.names), set(RESOURCES.functions)
    for subscription in RESOURCES.subscriptions.values():
        assert subscription.topic in topics
        assert subscription.push_to is None or subscription.push_to in functions
        assert subscription.dead_letter_topic is None or subscription.dead_letter_topic in topics
    assert {schedule.calls for schedule in RESOURCES.scheduler.values()} <= functions


def test_every_destination_is_a_declared_topic_or_queue() -> None:
    assert {str(destination) for destination in Destination} <= {*RESOURCES.topics.names, *RESOURCES.queues}


def test_every_topic_has_a_subscription_so_that_nothing_published_is_lost() -> None:
    assert {each.topic for each in RESOURCES.subscriptions.values()} == set(RESOURCES.topics.names)


def test_doorbell_and_dead_letters_have_no_dead_letter_policy() -> None:
    """A ring is not a job; and a letter that is given up would be gone."""
    for name in ("gpu-sub", "dead-letters-sub", "alerts-sub"):
        assert RESOURCES.subscriptions[name].dead_letter_topic is None


def test_bell_and_work_see_the_same_messages() -> None:
    bell, work, gke = (RESOURCES.subscriptions[name] for name in ("gpu-sub", "gpu-work", "gpu-gke-work"))
    assert (bell.topic, bell.filter) == (work.topic, work.filter)
    assert gke.filter == work.filter is not None


@pytest.mark.parametrize("name", ["gpu-work", "gpu-gke-work"])
def test_times_of_a_pulled_subscription_fit_the_settings(name: str) -> None:
    work = RESOURCES.subscriptions[name]
    assert DEFAULTS["lease_seconds"] < DEFAULTS["ack_deadline_seconds"] <= work.ack_deadline
    assert DEFAULTS["idle_seconds"] > work.retry_max
    assert work.max_delivery_attempts > DEFAULTS["max_attempts"]


def test_held_cpu_tasks_leave_dispatch_room_for_bells() -> None:
    dispatch, tasks = RESOURCES.functions["dispatch"], RESOURCES.queues["cpu-tasks"]
    assert tasks.concurrent_dispatches <= dispatch.max_held
    assert dispatch.max_instances == 1
    assert room(dispatch) >= ROOM
    assert dispatch.timeout >= tasks.dispatch_deadline


def test_held_waits_leave_ingest_room() -> None:
    ingest = RESOURCES.functions["ingest"]
    assert room(ingest) >= ROOM
    assert ingest.timeout > DEFAULTS["max_wait_seconds"] + 30


def test_cpu_execution_ends_before_the_request_that_waits_for_it() -> None:
    deadline = RESOURCES.queues["cpu-tasks"].dispatch_deadline
    assert RESOURCES.jobs["cpu"].task_timeout < deadline - ANSWER_MARGIN_SECONDS
    assert RESOURCES.jobs["cpu"].max_retries == 0


def test_gpu_jobs_timeout_is_the_one_its_drainers_know() -> None:
    assert RESOURCES.jobs["gpu"].task_timeout == DEFAULTS["task_timeout_seconds"]


def test_one_webhook_try_fits_its_task_and_its_function() -> None:
    queue, deliver = RESOURCES.queues["webhooks"], RESOURCES.functions["deliver"]
    assert POST_SECONDS < queue.dispatch_deadline <= deliver.timeout
    assert queue.concurrent_dispatches <= room(deliver)


def test_queues_outlast_the_records_own_attempts() -> None:
    for queue in RESOURCES.queues.values():
        assert queue.max_attempts > DEFAULTS["max_attempts"]
        assert queue.min_backoff <= queue.max_backoff


def test_jobs_commands_are_modules_of_ours() -> None:
    for job in RESOURCES.jobs.values():
        python, flag, module, *_ = job.command
        assert (python, flag) == ("python", "-m")
        assert importlib.util.find_spec(f"{module}.__main__")
