"""Traffic between revisions: a trial, its promotion, the ways back, and what may be deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deploy import checks, functions, jobs, traffic
from deploy.command import Command, Plan
from deploy.faults import CannotDeploy
from deploy.functions import labels
from deploy.live import Live
from deploy.revisions import routed, services
from deploy.situation import Situation, situation
from tests.deploy.projects import on_trial, promoted, revision, service, target, variables, with_settings


def flags(plan: Plan, name: str) -> set[str]:
    """Of the one command about this service."""
    (command,) = [each for phase in plan for each in phase.commands if name in each.arguments]
    return flags_of(command)


def flags_of(command: Command) -> set[str]:
    known = ("--project=", "--region=", "--quiet")
    return {str(each) for each in command.arguments if str(each).startswith("--") and not str(each).startswith(known)}


def test_the_revision_that_serves_is_never_the_one_on_trial() -> None:
    for percent in (0, 10, 60):
        found = services(target(), on_trial(target(), percent))["ingest"]
        assert (found.serving, found.canary) == ("ingest-1", "ingest-2")


def test_split_names_both_revisions_so_that_nothing_else_gets_a_share() -> None:
    plan = traffic.split(target(), on_trial(target(), 0), 10)
    assert flags(plan, "ingest") == {"--to-revisions=ingest-1=90,ingest-2=10"}


def test_split_that_is_in_place_is_left_alone() -> None:
    assert traffic.split(target(), on_trial(target(), 10), 10) == ()


def test_promotion_keeps_a_way_back() -> None:
    plan = traffic.promote(target(), on_trial(target()))
    assert flags(plan, "deliver") == {"--to-revisions=deliver-2=100", "--set-tags=previous=deliver-1"}


def test_rollback_ends_a_trial_first() -> None:
    plan = traffic.rollback(target(), on_trial(target()))
    assert flags(plan, "ingest") == {"--to-revisions=ingest-1=100", "--remove-tags=canary"}


def test_rollback_without_a_trial_goes_back_behind_the_promotion() -> None:
    plan = traffic.rollback(target(), promoted(target()))
    assert flags(plan, "ingest") == {"--to-revisions=ingest-1=100", "--remove-tags=previous"}


def test_rollback_of_half_a_promotion_takes_both_halves_back() -> None:
    tried, done = on_trial(target()).lists, promoted(target()).lists
    ours = [each for each in tried["services"] if each["metadata"]["name"] != "ingest"]
    theirs = [each for each in done["services"] if each["metadata"]["name"] == "ingest"]
    live = Live({"services": (*ours, *theirs), "revisions": done["revisions"]})
    plan = traffic.rollback(target(), live)
    assert flags(plan, "ingest") == {"--to-revisions=ingest-1=100", "--remove-tags=previous"}
    assert flags(plan, "deliver") == {"--to-revisions=deliver-1=100", "--remove-tags=canary"}


def test_rollback_of_a_trial_leaves_an_older_promotion_alone() -> None:
    """Every service has a way back behind an earlier release; only the trial ends."""
    live = on_trial(target())
    older = {"revisionName": "x-0", "tag": "previous"}
    tagged = [
        {**each, "status": {**each["status"], "traffic": [*each["status"]["traffic"], older]}}
        for each in live.lists["services"]
    ]
    plan = traffic.rollback(target(), Live({**live.lists, "services": tuple(tagged)}))
    assert flags(plan, "ingest") == {"--to-revisions=ingest-1=100", "--remove-tags=canary"}


def test_rollback_with_nothing_behind_says_so() -> None:
    with pytest.raises(CannotDeploy, match="nothing to go back to"):
        traffic.rollback(target(), Live())


@pytest.mark.parametrize("move", [traffic.promote, lambda wanted, live: traffic.split(wanted, live, 10)])
def test_without_a_trial_there_is_nothing_to_move(move: object) -> None:
    with pytest.raises(CannotDeploy, match="no canary runs"):
        move(target(), promoted(target()))  # type: ignore[operator]


def test_old_revisions_are_those_that_nothing_points_to() -> None:
    deleted = {each.arguments[3] for each in traffic.old_revisions(target(), promoted(target()))}
    assert deleted == {f"{target().service(function)}-0" for function in target().resources.functions}


def test_the_newest_revision_stays_also_when_it_never_became_ready() -> None:
    """Cloud Run deletes no revision that is its service's latest."""
    live = promoted(target())
    failed = [
        {**each, "status": {**each["status"], "latestCreatedRevisionName": f"{each['metadata']['name']}-0"}}
        for each in live.lists["services"]
    ]
    assert traffic.old_revisions(target(), Live({**live.lists, "services": tuple(failed)})) == []


def test_nothing_is_deleted_while_a_trial_runs() -> None:
    assert traffic.old_revisions(target(), on_trial(target())) == []


def test_up_says_that_a_trial_is_running() -> None:
    assert [*checks.no_trial(target(), on_trial(target()))] == [
        "a canary of version v2 is running: `promote` or `rollback` it first."
    ]
    assert [*checks.no_trial(target(), promoted(target()))] == []


def test_promotion_of_another_version_than_the_trials_is_refused() -> None:
    assert [*checks.trial_is(target(version="v2"), on_trial(target()))] == []
    assert [*checks.trial_is(target(version="v3"), on_trial(target()))] == [
        "the canary runs version v2, and --version is v3."
    ]


def with_newest(serving: str, newest: str, *, ready: bool = True, follows_latest: bool = False) -> Live:
    """`ingest` alone: newest is what is wanted; `serving` has all traffic."""
    wanted = labels(target(), Live(), Situation(), "ingest")
    found = revision(newest, "v2", ready=ready)
    found["metadata"]["labels"] |= wanted
    share = {"latestRevision": True} if follows_latest else {"revisionName": serving}
    return Live(
        {
            "services": (service("ingest", [{**share, "percent": 100}], newest),),
            "revisions": (revision("ingest-1", "v1"), found),
        }
    )


def about_ingest(commands: list[Command]) -> list[Command]:
    return [each for each in commands if "ingest" in each.arguments]


def test_what_is_deployed_already_is_not_deployed_again() -> None:
    live = with_newest("ingest-2", "ingest-2")
    assert about_ingest(functions.deploy(target(), live, situation(target(), live))) == []
    assert about_ingest(functions.send_all_traffic(target(), live, situation(target(), live))) == []


def test_after_a_rollback_the_version_that_serves_is_not_built_again() -> None:
    live = with_newest("ingest-2", "ingest-2")
    (found,) = live.lists["services"]
    newer = {**found, "status": {**found["status"], "latestReadyRevisionName": "ingest-3"}}
    live = Live({"services": (newer,), "revisions": (*live.lists["revisions"], revision("ingest-3", "v3"))})
    assert about_ingest(functions.deploy(target(), live, Situation())) == []
    assert about_ingest(functions.send_all_traffic(target(), live, Situation())) == []


def test_a_revision_that_never_became_ready_is_deployed_again() -> None:
    live = with_newest("ingest-2", "ingest-2", ready=False)
    assert about_ingest(functions.deploy(target(), live, Situation()))


def test_up_sends_traffic_to_a_revision_that_a_rollback_has_left() -> None:
    live = with_newest("ingest-1", "ingest-2")
    (move,) = about_ingest(functions.send_all_traffic(target(), live, Situation()))
    assert flags_of(move) == {"--to-latest"}


def test_traffic_that_follows_the_newest_needs_no_command() -> None:
    live = with_newest("ingest-1", "ingest-2", follows_latest=True)
    assert about_ingest(functions.send_all_traffic(target(version="v3"), live, Situation())) == []


def test_a_version_that_was_rolled_back_is_tried_again_without_a_build() -> None:
    live = with_newest("ingest-1", "ingest-2")
    (command,) = about_ingest(functions.deploy_on_trial(target(), live, Situation()))
    assert flags_of(command) == {"--update-tags=canary=ingest-2"}


def test_a_new_version_is_deployed_beside_what_serves() -> None:
    live = with_newest("ingest-1", "ingest-2")
    (command,) = about_ingest(functions.deploy_on_trial(replace(target(), version="v3"), live, Situation()))
    assert {"--no-traffic", "--tag=canary"} <= flags_of(command)


def way_back(live: Live) -> dict[str, set[str]]:
    found = functions.keep_way_back(target(), live, situation(target(), live))
    return {str(each.arguments[3]): flags_of(each) for each in found}


@pytest.mark.parametrize("follows_latest", [True, False])
def test_up_tags_what_serves_before_it_is_left(follows_latest: bool) -> None:
    live = with_newest("ingest-1", "ingest-1", follows_latest=follows_latest)
    live = Live({"services": live.lists["services"], "revisions": (revision("ingest-1", "v1"),)})
    assert way_back(live) == {"ingest": {"--update-tags=previous=ingest-1"}}


def test_up_after_a_promotion_moves_the_tag_to_what_was_promoted() -> None:
    expected = {
        each.name: {f"--update-tags=previous={each.name}-2"} for each in services(target(), promoted(target())).values()
    }
    assert way_back(promoted(target())) == expected


def with_current(live: Live, function: str) -> Live:
    """One function has what is wanted already."""
    wanted = labels(target(), live, situation(target(), live), function)
    name = f"{target().service(function)}-2"
    changed = [
        {**each, "metadata": {**each["metadata"], "labels": each["metadata"]["labels"] | wanted}}
        if each["metadata"]["name"] == name else each
        for each in live.lists["revisions"]
    ]  # fmt: skip
    return Live({**live.lists, "revisions": tuple(changed)})


def test_tag_of_an_older_release_goes_when_only_others_change() -> None:
    """A setting changes at v2: a way back to v1 for some and to v2 for others would mix the two."""
    assert way_back(with_current(promoted(target()), "ingest"))["ingest"] == {"--remove-tags=previous"}


def test_up_that_changes_nothing_leaves_tags_alone() -> None:
    live = promoted(target())
    for function in target().resources.functions:
        live = with_current(live, function)
    assert way_back(live) == {}


def test_up_that_stopped_half_way_keeps_the_tags_it_has_set() -> None:
    live = with_current(promoted(target()), "ingest")
    older = [
        each if each["metadata"]["name"] == "ingest" else service(
            each["metadata"]["name"], [{"revisionName": f"{each['metadata']['name']}-1", "percent": 100}],
            f"{each['metadata']['name']}-1",
        )
        for each in live.lists["services"]
    ]  # fmt: skip
    found = way_back(Live({**live.lists, "services": tuple(older)}))
    assert "ingest" not in found
    assert found["deliver"] == {"--update-tags=previous=deliver-1"}


def test_rollback_leaves_alone_what_an_up_has_tagged_and_not_left() -> None:
    live = promoted(target())
    stayed = service("deliver", [{"revisionName": "deliver-2", "percent": 100, "tag": "previous"}], "deliver-2")
    others = [each for each in live.lists["services"] if each["metadata"]["name"] != "deliver"]
    plan = traffic.rollback(target(), Live({**live.lists, "services": (*others, stayed)}))
    assert "deliver" not in {str(each.arguments[3]) for phase in plan for each in phase.commands}


def job(name: str, version: str, types: str, previous: str = "") -> dict[str, Any]:
    spec = {"containers": [{"env": variables({"GPU_FILE_TYPES": types})}]}
    labels = {"version": version, **({"previous": previous} if previous else {})}
    return {"metadata": {"name": name, "labels": labels}, "spec": {"template": {"spec": {"template": {"spec": spec}}}}}


@pytest.mark.parametrize(
    ("version", "previous", "types", "behind"),
    [
        ("v2", "v1", "mp4,mov", []),
        ("v2", "v1", "mp4", [("gpu", "v2")]),
        ("v3", "v2", "mp4,mov", [("gpu", "v2")]),
        ("v3", "v1", "mp4,mov", []),
    ],
)
def test_jobs_follow_what_serves_to_its_version_and_its_file_types(
    version: str, previous: str, types: str, behind: list[tuple[str, str]]
) -> None:
    """Else what functions publish lies where no execution pulls."""
    live = with_settings(promoted(target()), {"v2": {"GPU_FILE_TYPES": "mov,mp4"}})
    gpu = job(target().resources.jobs["gpu"].name, version, types, previous)
    live = Live({**live.lists, f"jobs {target().gpu_region}": (gpu,)})
    serving = target(settings=routed(target(), live))
    assert serving.settings == {"GPU_FILE_TYPES": "mov,mp4"}
    assert list(jobs.behind(serving, live)) == behind
