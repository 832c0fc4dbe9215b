"""What the six functions do, all of it: each scene is one entry point at work, watched."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from flask.testing import FlaskClient

from shared.alert_ledger import CLAIM_SECONDS
from shared.errors import Unavailable
from shared.fetch import FetchPolicy, GuardedClient, PostResult
from shared.lanes import Priority
from shared.letters import KeptLetter
from shared.resources import declared
from shared.routing import Destination
from shared.slots import Slots
from shared.store import YOUNG_SECONDS, Marker
from shared.storm import WINDOW, tell
from tests.access.watched import Watch, watched_services
from tests.fakes.services import SETTINGS, FakeServices
from tests.functions.serving import MP3, MP4, OPERATOR, SHOP, TEXT, change, event, on_the_cpu, serving, submitted

_FUNCTIONS: Final = declared().functions
WEBHOOK: Final = "https://hooks.example.com/in"


class Receiver(GuardedClient):
    """Answers every post with the next status, without a network."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(FetchPolicy(), tls=None)
        self._statuses = list(statuses)

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_seconds: float) -> PostResult:
        return PostResult(self._statuses.pop(0))


@contextmanager
def _at_work(watch: Watch, function: str, everything: FakeServices) -> Iterator[FlaskClient]:
    with serving(function, everything) as client, watch.acting(_FUNCTIONS[function].account, everything):
        yield client


def functions(watch: Watch) -> None:
    for scene in (_on_upload, _ingest, _bells, _tasks, _sweeps, _deliver, _dead_letter, _alert_relay):
        scene(watch)


def _on_upload(watch: Watch) -> None:
    everything = watched_services(watch, enable_gke_route=True, max_gpu_executions=1)
    metadata = {"webhook_url": WEBHOOK, "caller": "shop"}

    def arrives(name: str, data: bytes, *, again_after: float | None = None, **more: Any) -> None:
        made = event("storage_finalized.json")
        generation = everything.objects.put("uploads", name, data)
        made["data"] |= {"name": name, "size": str(len(data)), "generation": str(generation), **more}
        envelope = {f"ce-{key}": str(value) for key, value in made.items() if key != "data"}
        for pause in (0, again_after):
            if pause is not None:
                everything.clock.advance(pause)
                with _at_work(watch, "on_upload", everything) as client:
                    assert client.post("/", json=made["data"], headers=envelope).status_code == 200

    arrives("talks/film.mp4", MP4, again_after=YOUNG_SECONDS)
    everything.backlog.number = everything.settings.gpu_backlog_limit
    everything.clock.advance(5)
    arrives("talks/other.mp4", MP4)
    arrives(f"tickets/{'0' * 32}/a.mp3", MP3, metadata={**metadata, "operations": '["probe"]'})
    everything.clock.advance(5)
    arrives("talks/hurried.mp3", MP3, metadata={**metadata, "operations": "probe", "priority": "high"})
    everything.clock.advance(5)
    arrives("talks/letter.txt", TEXT, metadata=metadata)


def _ingest(watch: Watch) -> None:
    keys = tuple({**key, "allowance": 100} for key in SETTINGS["api_keys"])
    everything = watched_services(
        watch, enable_gke_route=True, max_wait_seconds=0.01, source_buckets=("archive",), api_keys=keys
    )
    everything.objects.put("uploads", "film.mp4", MP4)
    body = {"source": "gs://uploads/film.mp4", "operations": ["transcribe"], "webhook_url": WEBHOOK}
    running = change(everything, submitted(everything, "running", webhook_url=WEBHOOK).job_id, "leased")
    done = change(everything, submitted(everything, "done").job_id, "leased", "succeeded")
    lost = [submitted(everything, "lost"), on_the_cpu(everything, "lost on the cpu")]
    for job in lost:
        change(everything, job.job_id, "leased", "failed")
    everything.clock.advance(5)
    # What was counted for the jobs before is not this process' knowledge.
    object.__setattr__(everything, "slots", Slots(everything.objects, everything.settings))
    everything.work_backlog.number = 1

    def call(method: str, path: str, status: int, *, key: Mapping[str, str] = SHOP, **more: Any) -> None:
        headers = {**key, **more.pop("headers", {})}
        with _at_work(watch, "ingest", everything) as client:
            assert client.open(path, method=method, headers=headers, **more).status_code == status
        everything.clock.advance(5)

    wishes = (
        {"Idempotency-Key": "a"},
        {"X-Destination": "gke", "Prefer": "wait=1"},
        {"X-Destination": "cloud-run"},
    )
    for headers in wishes:
        call("POST", "/v1/jobs", 202, json=body, headers=headers)
    everything.clock.advance(YOUNG_SECONDS)
    call("POST", "/v1/jobs", 202, json=body, headers={"Idempotency-Key": "a"})
    call("POST", "/v1/jobs", 202, json={**body, "operations": ["probe"]})
    call("POST", "/v1/jobs", 202, json={**body, "operations": ["probe"], "priority": "high"})
    call("POST", "/v1/jobs", 400, json={**body, "source": "gs://elsewhere/film.mp4"})
    call("POST", "/v1/uploads", 201, json={"filename": "a.mp4", "content_type": "video/mp4"})
    call("GET", "/v1/jobs", 200, key=OPERATOR)
    call("GET", f"/v1/jobs/{done.job_id}", 200)
    call("GET", f"/v1/jobs/{done.job_id}/artifacts/transcript.json", 302)
    call("POST", f"/v1/jobs/{running.job_id}:cancel", 202)
    for job in lost:
        call("POST", f"/v1/jobs/{job.job_id}:redrive", 202)
    for letter in _letters(everything):
        call("GET", f"/v1/dead-letters/{letter}", 200)
        call("POST", f"/v1/dead-letters/{letter}:discard", 200, json={"reason": "known"})
        call("POST", f"/v1/dead-letters/{letter}:redrive", 202)
    first, *_ = _letters_of_uploads(everything)
    call("POST", f"/v1/dead-letters/{first}:redrive", 202, key=OPERATOR)
    call("POST", "/v1/dead-letters:redrive", 200, key=OPERATOR, json={})
    call("GET", "/v1/dead-letters", 200)
    call("POST", "/v1/dead-letters:redrive", 200, json={})
    call("POST", "/v1/dead-letters:redrive", 200, json={"state": "failed"})
    call("GET", "/openapi.json", 200)


def _letters(everything: FakeServices) -> list[str]:
    """Of two jobs that were given up."""
    letters = []
    for name in ("one", "other"):
        job_id = change(everything, submitted(everything, name).job_id, "leased", "dead_lettered").job_id
        letters.append(f"{everything.now().date()}/{job_id}")
        everything.letters.keep(letters[-1], KeptLetter(job_id=job_id, submission=1, kept_at=everything.now()))
    everything.clock.advance(5)
    return letters


def _letters_of_uploads(everything: FakeServices) -> list[str]:
    """Of events that were given up: of a film, of one that somebody holds a ticket for, of what is no media."""
    letters = []
    for name, data in {"film.mp4": MP4, f"tickets/{'1' * 32}/film.mp4": MP4, "letter.txt": TEXT}.items():
        generation = everything.objects.put("uploads", name, data)
        letters.append(f"{everything.now().date()}/message-{len(letters)}")
        told = {"bucket": "uploads", "name": name, "generation": generation, "metadata": {"caller": "shop"}}
        everything.letters.keep(letters[-1], KeptLetter.model_validate({**told, "kept_at": everything.now()}))
    everything.clock.advance(5)
    return letters


def _bells(watch: Watch) -> None:
    everything = watched_services(watch)
    submitted(everything)
    for error in (None, Unavailable("no answer")):
        everything.faults.fail_next("executions.start", error) if error else None
        with _at_work(watch, "dispatch", everything) as client:
            client.post("/bell", json=event("pubsub_push_bell.json"))
        everything.clock.advance(5)


def _tasks(watch: Watch) -> None:
    everything = watched_services(watch)
    job = on_the_cpu(everything, webhook_url=WEBHOOK)
    task = {"job_id": job.job_id, "submission": 1}
    everything.clock.advance(5)

    def ends(execution: Any) -> None:
        change(everything, job.job_id, "leased", "retried")
        everything.executions.ended.add(execution.name)

    everything.executions.on_start = ends
    for expected in (*[409] * everything.settings.max_attempts, 204):
        with _at_work(watch, "dispatch", everything) as client:
            assert client.post("/task", json=task).status_code == expected
        everything.clock.advance(5)


def _sweeps(watch: Watch) -> None:
    everything = watched_services(watch, enable_gke_route=True)
    submitted(everything, "waiting")
    on_the_cpu(everything, "waiting on the cpu")
    hurried = on_the_cpu(everything, "hurried on the cpu")
    everything.store.update(hurried.job_id, lambda seen: seen.job.model_copy(update={"priority": Priority.HIGH}))
    moved = submitted(everything, "moved")
    everything.store.update(moved.job_id, lambda seen: seen.job.model_copy(update={"destination": Destination.GKE}))
    change(everything, submitted(everything, "over", webhook_url=WEBHOOK).job_id, "leased", "succeeded")
    # Redriven by a revision whose submissions had one marker in common; then by this one.
    for redriven in (submitted(everything, "redriven before"), submitted(everything, "redriven")):
        everything.store.update(redriven.job_id, lambda seen: seen.job.model_copy(update={"submission": 2}))
    everything.store.mark_open(Marker(redriven.job_id, redriven.caller, 2))
    everything.store.mark_open(Marker("f" * 32, "shop"))
    everything.store.mark_open(Marker.of_ticket("e" * 32, "shop"))
    everything.slots.take("f" * 32)
    everything.clock.advance(everything.settings.grace_seconds + everything.settings.slot_start_seconds)
    with _at_work(watch, "dispatch", everything) as client:
        assert client.post("/sweep").status_code == 204
    assert everything.objects.names("state", "slots/gpu/") == []
    _storm(watch)


def _storm(watch: Watch) -> None:
    """Of three letters, two of which wait for the sweep; then nothing more."""
    everything = watched_services(watch)
    for number in range(3):
        letter = KeptLetter(code="unreadable", kept_at=everything.now())
        letter_id = f"{everything.now().date()}/message-{number}"
        everything.letters.keep(letter_id, letter)
        tell(letter_id, letter, everything)
    for _ in range(2):
        everything.clock.advance(2 * WINDOW.total_seconds())
        with _at_work(watch, "dispatch", everything) as client:
            assert client.post("/sweep").status_code == 204


def _deliver(watch: Watch) -> None:
    everything = watched_services(watch)
    job = submitted(everything, webhook_url=WEBHOOK)
    change(everything, job.job_id, "leased", "succeeded")
    everything.clock.advance(5)
    _with_http(everything, Receiver(500, 200))
    for number in (1, 2):
        with _at_work(watch, "deliver", everything) as client:
            task = {"job_id": job.job_id, "submission": 1, "number": number}
            assert client.post("/", json=task).status_code == 204
        everything.clock.advance(5)


def _dead_letter(watch: Watch) -> None:
    everything = watched_services(watch)
    submitted(everything, webhook_url=WEBHOOK)
    everything.clock.advance(everything.settings.lease_seconds)
    for letter in (event("dead_letter_push.json"), _unreadable()):
        with _at_work(watch, "dead_letter", everything) as client:
            assert client.post("/", json=letter).status_code == 204
        everything.clock.advance(2 * WINDOW.total_seconds())


def _unreadable() -> Any:
    letter = event("dead_letter_push.json")
    letter["message"]["data"] = "bm90aGluZw=="
    return letter


def _alert_relay(watch: Watch) -> None:
    targets = {"n8n_alert_url": "https://n8n.example/x", "slack_webhook_url": "https://slack.example/x"}
    everything = watched_services(watch, **targets)
    _with_http(everything, Receiver(400, 400, 400, 400, 200, 200))
    calls: list[tuple[Any, Mapping[str, str], int]] = [
        (event("hub_alert_push.json"), {}, 503),
        (event("hub_alert_push.json"), {}, 204),
        (event("monitoring_incident_open.json"), {"Authorization": "Bearer secret-alert-token"}, 204),
    ]
    for body, headers, status in calls:
        with _at_work(watch, "alert_relay", everything) as client:
            assert client.post("/", data=json.dumps(body), headers=headers).status_code == status
        everything.clock.advance(CLAIM_SECONDS + 1)


def _with_http(everything: FakeServices, http: GuardedClient) -> None:
    object.__setattr__(everything, "http", http)
