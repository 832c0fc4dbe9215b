"""Traffic between revisions: a trial, its promotion, the ways back, and what may be deleted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy import checks, functions, traffic
from deploy.command import Command, Plan
from deploy.faults import CannotDeploy
from deploy.functions import labels
from deploy.live import Live
from deploy.revisions import services
from deploy.situation import Situation, situation
from tests.deploy.projects import on_trial, promoted, revision, service, target


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
