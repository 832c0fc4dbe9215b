"""Webhooks whose receivers hang, beside one whose receiver answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from shared.fetch import FetchPolicy, GuardedClient
from shared.resources import declared
from shared.services import use
from tests.fakes.clock import FakeClock
from tests.fakes.http_target import http_target
from tests.fakes.objects import FakeObjects
from tests.fakes.services import fake_services
from tests.functions.serving import app, change, event, submitted
from tests.waiting import eventually

TASK = event("webhook_task.json")


def test_many_receivers_that_hang_hold_up_no_other() -> None:
    """As many tries at once as the queue makes, and `deliver` is declared to hold: far more than one instance's."""
    queue, function = declared().queues["webhooks"], declared().functions["deliver"]
    patient = GuardedClient(FetchPolicy(allow_loopback=True))
    everything = fake_services(objects=FakeObjects(clock=FakeClock(datetime.now(UTC))), http=patient)

    def ended_job(key: str, url: str) -> str:
        job_id = submitted(everything, key, webhook_url=url).job_id
        change(everything, job_id, "leased", "succeeded")
        return job_id

    def deliver_to(job_id: str) -> int:
        return app("deliver").test_client().post("/", json={**TASK, "job_id": job_id}).status_code

    with (
        http_target() as hangs,
        http_target() as receiver,
        use(everything),
        ThreadPoolExecutor(queue.concurrent_dispatches) as dispatches,
    ):
        hanging = [ended_job(str(number), hangs.url) for number in range(function.concurrency * 4)]
        good = ended_job("good", receiver.url)
        hangs.gate.clear()
        try:
            answers = [dispatches.submit(deliver_to, job_id) for job_id in (*hanging, good)]
            eventually(lambda: len(receiver.received) == 1, "the good receiver has its webhook", within_s=30)
            with hangs.lock:
                assert hangs.open_now == hangs.open_most
        finally:
            hangs.gate.set()
        assert {answer.result(30) for answer in answers} == {204}
