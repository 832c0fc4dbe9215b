"""resources.toml agrees with itself, with the settings' defaults and with the code that it calls."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from functions.deliver import _TIMEOUT_SECONDS as POST_SECONDS
from local.profile import Profile
from shared.cpu_task import _MARGIN as ANSWER_MARGIN_SECONDS
from shared.lanes import CPU_QUEUES, Priority
from shared.resources import Function, declared
from shared.routing import Destination
from shared.settings import Settings

RESOURCES = declared()
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
#: What workers pull, the high lane first.
GPU_LANES = (DEFAULTS["gpu_high_subscription"], DEFAULTS["gpu_subscription"])
GKE_LANES = (DEFAULTS["gke_high_subscription"], DEFAULTS["gke_subscription"])
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
    known = {*RESOURCES.topics.names, *RESOURCES.queues}
    assert {str(destination) for destination in Destination} | set(CPU_QUEUES.values()) <= known


def test_every_topic_has_a_subscription_so_that_nothing_published_is_lost() -> None:
    assert {each.topic for each in RESOURCES.subscriptions.values()} == set(RESOURCES.topics.names)


def test_doorbell_and_dead_letters_have_no_dead_letter_policy() -> None:
    """A ring is not a job; and a letter that is given up would be gone."""
    for name in ("gpu-sub", "dead-letters-sub", "alerts-sub"):
        assert RESOURCES.subscriptions[name].dead_letter_topic is None


def test_bell_and_both_lanes_of_the_work_see_the_same_messages() -> None:
    bell = RESOURCES.subscriptions["gpu-sub"]
    assert bell.priority is None
    for topic, names in (("gpu-tasks", GPU_LANES), ("gpu-tasks-gke", GKE_LANES)):
        lanes = [RESOURCES.subscriptions[name] for name in names]
        assert [each.priority for each in lanes] == [Priority.HIGH, Priority.NORMAL]
        assert {(each.topic, each.filter) for each in lanes} == {(topic, bell.filter)}
    assert bell.topic == "gpu-tasks"


def test_lanes_differ_in_nothing_but_what_they_pass() -> None:
    for high, normal in (GPU_LANES, GKE_LANES):
        there, here = RESOURCES.subscriptions[high], RESOURCES.subscriptions[normal]
        assert there.model_copy(update={"priority": here.priority}) == here


@pytest.mark.parametrize("name", [*GPU_LANES, *GKE_LANES])
def test_times_of_a_pulled_subscription_fit_the_settings(name: str) -> None:
    work = RESOURCES.subscriptions[name]
    assert DEFAULTS["lease_seconds"] < DEFAULTS["ack_deadline_seconds"] <= work.ack_deadline
    assert DEFAULTS["idle_seconds"] > work.retry_max
    assert work.max_delivery_attempts > DEFAULTS["max_attempts"]


def test_held_cpu_tasks_leave_dispatch_room_for_bells() -> None:
    dispatch = RESOURCES.functions["dispatch"]
    lanes = [RESOURCES.queues[name] for name in CPU_QUEUES.values()]
    assert sum(each.concurrent_dispatches for each in lanes) <= dispatch.max_held
    assert dispatch.max_instances == 1
    assert room(dispatch) >= ROOM
    # One deadline for both: `dispatch` does not ask which lane a task came by.
    (deadline,) = {each.dispatch_deadline for each in lanes}
    assert dispatch.timeout >= deadline


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
    assert queue.concurrent_dispatches == room(deliver) * deliver.max_instances


def test_the_local_cloud_makes_as_many_tries_at_once_as_its_one_instance_holds() -> None:
    fitted = Profile(model=Path("model")).fitted(RESOURCES)
    assert fitted.queues["webhooks"].concurrent_dispatches == room(RESOURCES.functions["deliver"])


def test_the_declaration_is_read_once() -> None:
    assert declared() is RESOURCES


def test_queues_outlast_the_records_own_attempts() -> None:
    for queue in RESOURCES.queues.values():
        assert queue.max_attempts > DEFAULTS["max_attempts"]
        assert queue.min_backoff <= queue.max_backoff


def test_jobs_commands_are_modules_of_ours() -> None:
    for job in RESOURCES.jobs.values():
        python, flag, module, *_ = job.command
        assert (python, flag) == ("python", "-m")
        assert importlib.util.find_spec(f"{module}.__main__")
