"""Faults 1–4, 6 and 7: events that come twice, late, in the wrong order, or for what is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from local.profile import RESULTS, UPLOADS
from shared.job import job_id_for
from tests.chaos.catalogue import scenario
from tests.chaos.faults import Fault, Way
from tests.chaos.hub import Hub, own_attempts
from tests.waiting import eventually


def post_event(hub: Hub, bucket: str, name: str, generation: int, **headers: str) -> int:
    """A finalize event, as Eventarc posts it; answers the function's status."""
    data: Mapping[str, Any] = {"bucket": bucket, "name": name, "generation": str(generation), "size": "1644"}
    attributes = {
        "ce-id": f"{name}-{generation}",
        "ce-specversion": "1.0",
        "ce-type": "google.cloud.storage.object.v1.finalized",
        "ce-source": f"//storage.googleapis.com/projects/_/buckets/{bucket}",
        **headers,
    }
    url = hub.cloud.endpoints.function("on_upload")
    return httpx.post(url, json=data, headers=attributes, trust_env=False, timeout=60).status_code


@scenario(1, promises=(2,), is_cheap=True)
def an_event_comes_twice_at_once_and_once_more_later(hub: Hub) -> None:
    hub.put(Fault("on_upload POST /", Way.TWICE, nth=1), Fault("on_upload POST /", Way.AGAIN_LATER, nth=2))
    ids = [hub.upload(operations="probe") for _ in range(2)]
    for job_id in ids:
        assert own_attempts(hub.ended(job_id)) == 1
    eventually(lambda: hub.plan.points["on_upload POST /"] == 4, "both copies")
    for job_id in ids:
        assert own_attempts(hub.ended(job_id)) == 1


@scenario(2, promises=(2, 3))
def an_object_is_overwritten_while_the_old_one_runs(hub: Hub) -> None:
    hub.put(Fault("on_upload POST /", Way.DELAY, seconds=0.5))
    old = hub.upload(name="same.wav", operations="transcribe")
    hub.happen(old, "hold")
    eventually(lambda: (job := hub.job(old)) and job.progress and job.progress.stage == "held", "it is at work")
    new = hub.upload(name="same.wav", operations="transcribe")
    assert hub.ended(new).state == "succeeded"
    hub.release(old)
    assert hub.ended(old).state == "succeeded"
    assert old != new


@scenario(3, promises=(1, 6))
def the_older_event_comes_last(hub: Hub) -> None:
    hub.put(Fault("on_upload POST /", Way.DELAY, seconds=1.5))
    old = hub.upload(name="order.wav", ends=frozenset({"failed"}), operations="probe")
    new = hub.upload(name="order.wav", operations="probe")
    assert hub.ended(new).state == "succeeded"
    gone = hub.ended(old)
    assert gone.failure is not None
    assert (gone.state, gone.failure.code) == ("failed", "source_missing")


@scenario(4, promises=(5,))
def the_object_is_deleted_before_the_worker_opens_it(hub: Hub) -> None:
    hub.put(Fault("jobs RunJob .*", Way.DELAY, seconds=1.0))
    job_id = hub.upload(name="deleted.wav", ends=frozenset({"failed"}), operations="probe")
    eventually(lambda: hub.job(job_id), "a record")
    hub.cloud.services.objects.delete(UPLOADS, "deleted.wav")
    job = hub.ended(job_id)
    assert job.failure is not None
    assert (job.failure.code, job.attempts_counted) == ("source_missing", 1)


@scenario(6, promises=(2,), is_cheap=True)
def our_own_results_are_no_uploads(hub: Hub) -> None:
    done = hub.ended(hub.upload(operations="probe"))
    assert done.outcome is not None
    name = done.outcome.folder.removeprefix(f"gs://{RESULTS}/") + "facts.json"
    assert post_event(hub, RESULTS, name, 1) == 200
    assert hub.job(job_id_for(f"{RESULTS}/{name}#1")) is None


@scenario(7, promises=(2,), is_cheap=True)
def an_event_comes_again_days_later_when_its_object_is_gone(hub: Hub) -> None:
    job_id = hub.upload(name="replayed.wav", operations="probe")
    done = hub.ended(job_id)
    assert done.source.generation is not None
    hub.cloud.services.objects.delete(UPLOADS, "replayed.wav")
    again = {"ce-time": "2020-01-01T00:00:00Z", "ce-id": "another"}
    assert post_event(hub, UPLOADS, "replayed.wav", done.source.generation, **again) == 200
    assert hub.ended(job_id) == done
