"""The table of resources.toml is what each entry point is seen to touch: nothing more, and nothing less."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from shared.resources import Account, declared
from shared.settings import Settings
from tests.access.doors import functions
from tests.access.watched import Touched, Watch
from tests.access.workers import workers
from tests.fakes.services import SETTINGS

RESOURCES: Final = declared()
#: What runs nothing of ours: callers' tokens, and Cloud Build.
OTHERS: Final = {"nca-invoker", "nca-trigger", "nca-builder"}
ACCOUNTS: Final = sorted(set(RESOURCES.accounts) - OTHERS)
#: Buckets as the tests call them.
BUCKETS: Final = {SETTINGS[f"{name}_bucket"]: name for name in ("uploads", "results", "state")}


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Watch:
    """All entry points have done all they do."""
    model: Path = tmp_path_factory.mktemp("model")
    (model / "model.bin").touch()
    watch = Watch()
    functions(watch)
    workers(watch, model)
    return watch


@pytest.fixture(params=ACCOUNTS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def account(name: str) -> Account:
    return RESOURCES.accounts[name]


@pytest.fixture
def touched(name: str, watch: Watch) -> Touched:
    return watch.seen[name]


def test_every_account_was_seen_at_work(watch: Watch) -> None:
    assert sorted(watch.seen) == ACCOUNTS


def test_objects_are_those_of_the_table(account: Account, touched: Touched) -> None:
    seen = set()
    for (bucket, prefix), verbs in touched.objects.items():
        place = next(
            (each for each in (f"{BUCKETS[bucket]}/{prefix}", BUCKETS[bucket]) if each in account.objects), None
        )
        seen |= {(place or f"{BUCKETS[bucket]}/{prefix}", verb) for verb in verbs}
    granted = {(place, verb) for place, verbs in account.objects.items() for verb in verbs}
    assert seen - granted == set(), "touched, and not in the table"
    assert granted - seen == set(), "in the table, and not touched"


def test_topics_queues_subscriptions_and_jobs_are_those_of_the_table(account: Account, touched: Touched) -> None:
    assert touched.topics == set(account.topics)
    assert touched.queues == set(account.queues)
    assert touched.subscriptions == set(account.subscriptions)
    assert touched.jobs == set(account.jobs)
    assert touched.signs is account.signs
    assert touched.asks_monitoring is ("roles/monitoring.viewer" in account.project)


def test_settings_are_those_of_the_table(account: Account, touched: Touched) -> None:
    assert sorted(touched.settings - set(account.settings)) == [], "read, and not in the table"
    assert sorted(set(account.settings) - touched.settings) == [], "in the table, and not read"


def test_secrets_are_given_to_those_who_read_them(name: str, touched: Touched) -> None:
    """And to no worker at all."""
    given = {secret.lower() for each in RESOURCES.functions.values() if each.account == name for secret in each.secrets}
    assert touched.settings & {secret.lower() for secret in RESOURCES.secrets} == given
    assert {secret.lower() for secret in RESOURCES.secrets} <= set(Settings.model_fields)


def test_what_strangers_can_reach_may_delete_no_upload_and_no_result() -> None:
    public = [RESOURCES.accounts[each.account] for each in RESOURCES.functions.values() if each.public]
    assert public
    for account in public:
        for place, verbs in account.objects.items():
            if not place.startswith("state"):
                assert verbs & {"overwrite", "delete"} == set()
        assert account.jobs == account.subscriptions == ()


@pytest.mark.parametrize(
    ("objects", "roles"),
    [
        ({"state/a/": "read"}, {"objectViewer"}),
        ({"state/a/": "list"}, {"objectViewer"}),
        ({"state/a/": "create"}, {"objectCreator"}),
        ({"state/a/": "read", "state/b/": "create"}, {"objectViewer", "objectCreator"}),
        ({"state/a/": "read", "state/b/": "delete"}, {"objectUser"}),
        ({"state": "overwrite"}, {"objectUser"}),
    ],
)
def test_roles_are_the_least_that_hold_what_is_done(objects: dict[str, str], roles: set[str]) -> None:
    account = Account.model_validate({"does": "something", "objects": objects})
    assert account.buckets == {"state": roles}


def test_what_nobody_declared_would_be_found() -> None:
    """The watching itself: a call that is made by nobody is nobody's."""
    watch = Watch()
    watch.note("state", "jobs/x.json", "read")
    assert watch.seen == {}
    watch.actor = "nca-deliver"
    watch.note("state", "jobs/x.json", "delete")
    watch.note("results", "x", "read")
    assert dict(watch.seen["nca-deliver"].objects) == {("state", "jobs/"): {"delete"}, ("results", ""): {"read"}}
