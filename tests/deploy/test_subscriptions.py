"""A changed filter: new subscriptions beside the old, the old ones worked off, then gone."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from deploy import checks, cleanup, phases, status
from deploy.access import Grant, Resource
from deploy.live import Live
from deploy.promql import Sample
from deploy.situation import situation, superseded
from tests.deploy.projects import on_trial, promoted, subscription, target, variables, with_settings, with_subscriptions

BEFORE, AFTER = frozenset({"mp4", "mov", "wav"}), frozenset({"mp4", "mov", "wav", "mkv"})
CHANGED = target(settings={"GPU_FILE_TYPES": "mp4,mov,wav,mkv"})


def known(**filters: frozenset[str]) -> Live:
    """Subscriptions by their names, `_` for `-`."""
    found = [present(name.replace("_", "-"), types) for name, types in filters.items()]
    return with_subscriptions(on_trial(target()), *found)


def present(name: str, types: frozenset[str]) -> dict[str, Any]:
    """One of a declared name, or of that and a digest, as its lane's filter was for these types."""
    declared = target().resources.subscriptions[re.sub("-[0-9a-f]{6}$", "", name)]
    return subscription(name, filter=declared.filter_for(types))


def titles(live: Live, wanted: Any = CHANGED) -> list[str]:
    return [command.title for phase in phases.up(wanted, live) for command in phase.commands]


def test_names_are_the_declared_ones_on_a_new_project() -> None:
    assert situation(CHANGED, Live()).subscription("gpu-work") == "gpu-work"


def test_a_filter_that_fits_keeps_its_subscription() -> None:
    live = known(gpu_work=AFTER, gpu_sub=AFTER, gpu_gke_work=AFTER)
    assert situation(CHANGED, live).subscription("gpu-work") == "gpu-work"
    assert list(superseded(CHANGED, live)) == []


def test_another_filter_means_another_subscription_and_the_old_one_stays() -> None:
    live = known(gpu_work=BEFORE, gpu_sub=BEFORE, gpu_gke_work=BEFORE)
    name = situation(CHANGED, live).subscription("gpu-work")
    assert name.startswith("gpu-work-")
    assert f"pubsub subscriptions create {name}" in titles(live)
    assert not [title for title in titles(live) if "subscriptions delete" in title]
    assert {old for _, old in superseded(CHANGED, live)} == {"gpu-work", "gpu-sub", "gpu-gke-work"}


def test_what_waits_in_the_old_ones_is_worked_off_once() -> None:
    live = known(gpu_work=BEFORE, gpu_sub=BEFORE, gpu_gke_work=BEFORE)
    runs = [each for phase in phases.up(CHANGED, live) for each in phase.commands if "execute" in each.title]
    drained = {
        str(argument).rpartition("=")[2] for run in runs for argument in run.arguments if "GPU_SUB" in str(argument)
    }
    # The doorbell's rings are no work.
    assert drained == {"gpu-work", "gpu-gke-work"}

    new = situation(CHANGED, live).subscription("gpu-work")
    gke = situation(CHANGED, live).subscription("gpu-gke-work")
    later = known(gpu_work=BEFORE, gpu_gke_work=BEFORE, **{new: AFTER, gke: AFTER})
    assert not [title for title in titles(later) if "execute" in title]


def test_new_subscription_is_there_before_anything_is_published_for_it() -> None:
    """Pub/Sub gives a subscription only what is published after it was made."""
    order = titles(known(gpu_work=BEFORE))
    made = order.index(
        f"pubsub subscriptions create {situation(CHANGED, known(gpu_work=BEFORE)).subscription('gpu-work')}"
    )
    assert made < order.index("run deploy ingest")


def test_going_back_finds_the_first_one_again() -> None:
    live = known(gpu_work=BEFORE, gpu_work_abcdef=AFTER)
    assert situation(target(), live).subscription("gpu-work") == "gpu-work"
    assert situation(CHANGED, live).subscription("gpu-work") == "gpu-work-abcdef"


@pytest.mark.parametrize("stranger", ["gpu-worker", "gpu-work-2", "my-gpu-work", "gpu-work-abcdefg"])
def test_a_stranger_with_a_similar_name_is_none_of_ours(stranger: str) -> None:
    live = with_subscriptions(Live(), subscription(stranger, filter="other"))
    assert list(superseded(CHANGED, live)) == []


def served(live: Live) -> Live:
    """With the changed set in every revision."""
    now = {"GPU_FILE_TYPES": ",".join(sorted(AFTER))}
    return with_settings(live, {"v1": now, "v2": now})


def deleted(live: Live) -> set[str]:
    """By `cleanup`, were all subscriptions empty."""
    plan = cleanup.cleanup(CHANGED, live, frozenset(live.of("subscriptions")))
    done = [command.title for phase in plan for command in phase.commands]
    return {title.rpartition(" ")[2] for title in done if "subscriptions delete" in title}


def test_cleanup_keeps_what_the_way_back_needs_with_its_doorbell() -> None:
    left = [present(name, BEFORE) for name in ("gpu-work", "gpu-sub", "gpu-gke-work")]
    older = present("gpu-work-abcdef", frozenset({"avi"}))
    live = with_subscriptions(promoted(target()), *left, older)
    before, now = {"GPU_FILE_TYPES": "mp4,mov,wav"}, {"GPU_FILE_TYPES": "mp4,mov,wav,mkv"}
    assert deleted(with_settings(live, {"v1": before, "v2": now})) == {"gpu-work-abcdef"}
    named = {**now, "GPU_SUBSCRIPTION": "gpu-work-abcdef", "GKE_SUBSCRIPTION": "gpu-gke-work"}
    assert deleted(with_settings(live, {"v1": named, "v2": now})) == {"gpu-work", "gpu-sub"}
    assert deleted(served(live)) == {"gpu-work", "gpu-sub", "gpu-gke-work", "gpu-work-abcdef"}


def test_cleanup_keeps_what_a_job_pulls() -> None:
    live = served(known(gpu_work=BEFORE, gpu_gke_work=BEFORE))
    job = target().resources.jobs["gpu"].name
    secret = {"name": "API_KEYS", "valueFrom": {"secretKeyRef": {"name": "nca-api-keys", "key": "1"}}}
    given = variables({"GPU_SUBSCRIPTION": "gpu-work", "GPU_FILE_TYPES": "avi"})
    task = {"containers": [{"env": [secret, *given]}]}
    spec = {"template": {"spec": {"template": {"spec": task}}}}
    jobs = {f"jobs {target().gpu_region}": ({"metadata": {"name": job}, "spec": spec},)}
    assert deleted(replace(live, lists={**live.lists, **jobs})) == {"gpu-gke-work"}


def test_cleanup_wants_the_set_that_serves() -> None:
    """Without the --set of `up`, the subscriptions in use would look superseded."""
    live = served(known(gpu_work=AFTER))
    assert list(checks.same_file_types(CHANGED, live)) == []
    (said,) = checks.same_file_types(target(), live)
    assert "GPU_FILE_TYPES=mkv,mov,mp4,wav" in said
    assert list(checks.same_file_types(target(), Live())) == []


class Samples:
    """Cloud Monitoring with one answer to everything."""

    def __init__(self, **values: float) -> None:
        self._samples = [Sample({"subscription_id": name.replace("_", "-")}, value) for name, value in values.items()]
        self.asked: list[str] = []

    def ask(self, query: str) -> list[Sample]:
        self.asked.append(query)
        return self._samples


def test_a_subscription_is_empty_only_when_it_is_known_to_be() -> None:
    metrics = Samples(gpu_work=0.0, gpu_sub=3.0)
    assert status.known_empty(metrics, ["gpu-work", "gpu-sub", "gpu-gke-work"]) == {"gpu-work"}
    assert all("[10m]" in query for query in metrics.asked)


def test_cleanup_deletes_the_empty_and_works_off_the_others() -> None:
    live = served(known(gpu_work=BEFORE, gpu_sub=BEFORE, gpu_gke_work=BEFORE))
    plan = cleanup.cleanup(CHANGED, live, frozenset({"gpu-sub", "gpu-work"}))
    done = [command.title for phase in plan for command in phase.commands]
    assert {title.rpartition(" ")[2] for title in done if "subscriptions delete" in title} == {"gpu-sub", "gpu-work"}
    assert len([title for title in done if "jobs execute" in title]) == 1


def test_cleanup_takes_rights_beyond_the_table_from_our_accounts_only() -> None:
    project = Resource("project", "hub-stg")
    ours = Grant(project, "roles/editor", "serviceAccount:nca-ingest@hub-stg.iam.gserviceaccount.com")
    theirs = Grant(project, "roles/editor", "user:somebody@example.com")
    plan = cleanup.cleanup(target(), replace(Live(), grants=frozenset({ours, theirs})), frozenset())
    ((command,),) = [phase.commands for phase in plan]
    assert "remove-iam-policy-binding" in command.arguments
    assert f"--member={ours.member}" in command.arguments
