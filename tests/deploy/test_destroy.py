"""What goes and what stays."""

from __future__ import annotations

from dataclasses import replace

from deploy.destroy import destroy
from deploy.live import Live
from tests.deploy.projects import promoted, subscription, target


def project() -> Live:
    resources = target().resources
    live = promoted(target())
    lists = {
        **live.lists,
        "buckets": tuple({"name": target().bucket(name)} for name in resources.buckets),
        "queues": tuple({"name": name} for name in resources.queues),
        "repositories": ({"name": resources.images.repository},),
        "accounts": tuple({"email": target().account(name)} for name in resources.accounts),
        "subscriptions": (
            subscription("gpu-work-abcdef"),
            {"name": "projects/p/subscriptions/somebody-elses", "labels": {}},
        ),
        "channels": ({"name": "channels/1", "userLabels": {"app": "nca-fanout"}}, {"name": "channels/2"}),
        "policies": ({"name": "alertPolicies/1", "userLabels": {"app": "nca-fanout"}}, {"name": "alertPolicies/2"}),
    }
    return replace(live, lists=lists)


def titles(*, buckets: bool = False) -> list[str]:
    return [command.title for phase in destroy(target(), project(), buckets=buckets) for command in phase.commands]


def test_data_stays_unless_told() -> None:
    assert not [title for title in titles() if "storage" in title or "artifacts" in title]
    assert f"storage rm gs://{target().bucket('state')}" in titles(buckets=True)


def test_queues_are_emptied_and_keep_their_names() -> None:
    """A deleted queue's name is taken for days: `up` could not make it again."""
    assert "tasks queues purge cpu-tasks" in titles()
    assert not [title for title in titles() if "queues delete" in title]


def test_what_is_not_ours_stays() -> None:
    assert "pubsub subscriptions delete gpu-work-abcdef" in titles()
    assert "alpha monitoring policies delete alertPolicies/1" in titles()
    assert not [title for title in titles() if title.endswith(("somebody-elses", "channels/2", "alertPolicies/2"))]


def test_callers_go_before_what_they_call_and_accounts_go_last() -> None:
    order = titles()
    assert order.index("pubsub subscriptions delete gpu-work-abcdef") < order.index("run services delete ingest")
    last = order[-len(target().resources.accounts) :]
    assert all(title.startswith("iam service-accounts delete") for title in last)


def test_on_an_empty_project_there_is_nothing_to_do() -> None:
    assert destroy(target(), Live(), buckets=True) == ()
