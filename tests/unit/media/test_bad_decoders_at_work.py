"""Whole attempts with the real engine whose decoder goes wrong: what becomes of the job, and of the worker."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.attempt_ends import Verdict
from shared.events import JobMessage
from shared.job import Job, Source, State
from shared.operations import Shots
from shared.work import attempt
from tests.fakes.processor import FakeProcessor
from tests.fakes.services import fake_services
from tests.fakes.world import NO_BEATS, World, request
from tests.media import make_video
from tests.unit.attempts import submitted, try_once
from tests.unit.gpu import Gpu
from tests.unit.media import bad_sinks
from tests.unit.media.bad_sinks import BadProcessor
from tests.unit.samples import NOON
from tests.waiting import eventually

PROMISED_S = 5.0


class Engine(BadProcessor, FakeProcessor):
    """In the place of the worlds' own."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_video(tmp_path_factory.mktemp("film") / "film.mp4", seconds=4, size=(160, 90)).read_bytes()


def job_about(film: bytes, world: World, key: str = "key") -> Job:
    generation = world.services.objects.put("uploads", f"{key}.mp4", film)
    source = Source(uri=f"gs://uploads/{key}.mp4", generation=generation)
    return submitted(world, request(world.services, idempotency_key=key, source=source, operations=(Shots(),)))


@pytest.mark.parametrize(
    ("how", "state", "code"),
    [
        (bad_sinks.read_from_nowhere, State.FAILED, "decoder_crashed"),
        (bad_sinks.be_killed, State.QUEUED, "resource_exhausted"),
        (bad_sinks.have_a_bug, State.QUEUED, "internal_error"),
        (bad_sinks.find_the_disk_broken, State.QUEUED, "io_error"),
    ],
)
def test_the_file_is_to_blame_or_the_next_attempt_may_do_better(
    how: Callable[..., None], state: State, code: str, film: bytes
) -> None:
    world = World(fake_services(**NO_BEATS), Engine(how))
    _, after_it = try_once(world, job_about(film, world))
    assert after_it.failure is not None
    assert (after_it.state, after_it.failure.code) == (state, code)
    assert world.services.objects.names("results") == []


def test_a_crash_does_not_take_the_drain_loop_with_it(film: bytes) -> None:
    gpu = Gpu(idle_seconds=None)
    gpu.services.objects.limits_rate = False
    engine = gpu.world.processor = Engine(bad_sinks.read_from_nowhere)
    gpu.worker = gpu.drain.worker = gpu.world.worker()
    bad, good = job_about(film, gpu.world, "bad"), job_about(film, gpu.world, "good")
    with gpu.running() as working:
        gpu.publish(JobMessage(job_id=bad.job_id, submission=1).encode(), fileType="mp4")
        eventually(lambda: gpu.states(bad) == [State.FAILED])
        engine.turn(None)
        gpu.publish(JobMessage(job_id=good.job_id, submission=1).encode(), fileType="mp4")
        eventually(lambda: gpu.states(good) == [State.SUCCEEDED])
        assert not working.done()


@pytest.mark.parametrize(
    ("how", "settings"),
    # The promise is about the beat of production.
    [(bad_sinks.sleep, {}), (bad_sinks.take_long, {"progress_seconds": 0.05, "beat_seconds": 0.05})],
    ids=["hanging", "going on"],
)
def test_a_job_that_is_cancelled_in_the_middle_of_its_decode_is_over_in_time(
    how: Callable[..., None], settings: dict[str, float], film: bytes
) -> None:
    def seconds_until_over() -> float:
        world = World(fake_services(**settings), Engine(how))
        world.services.objects.limits_rate = False
        job = job_about(film, world)
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(attempt, job.job_id, job.submission, world.worker())
            eventually(lambda: (seen := world.job(job.job_id).progress) is not None and seen.stage == "decode")
            world.services.store.update(job.job_id, lambda seen: seen.job.cancelled(NOON))
            cancelled_at = time.monotonic()
            assert working.result(60) is Verdict.OVER
            took = time.monotonic() - cancelled_at
        assert world.job(job.job_id).state is State.CANCELLED
        assert world.services.objects.names("results") == []
        assert multiprocessing.active_children() == []
        return took

    # A busy machine may add to one of them.
    assert any(seconds_until_over() < PROMISED_S for _ in range(3))
