"""A GPU worker on fakes with the real engine: files that it holds at once are heard together."""

from __future__ import annotations

import wave
from dataclasses import replace
from io import BytesIO

import pytest

from local.assets import Assets
from shared.classify import FileFacts
from shared.job import State
from shared.media.process import MediaProcessor
from shared.media.recognizer import Recognizer
from shared.operations import Transcribe
from tests.fakes.world import request
from tests.unit.gpu import Gpu
from workers.gpu.drain import Drain

#: Where six of the reading's phrases begin and end, in seconds, with the words in their middle.
PHRASES = (
    (0.5, 6.5, "best of times"),
    (4.83, 10.58, "age of foolishness"),
    (15.0, 20.9, "winter of despair"),
    (20.9, 26.33, "direct to heaven"),
    (0.5, 6.5, "worst of times"),
    (15.0, 20.9, "season of darkness"),
)


def _cut(assets: Assets, start: float, end: float) -> bytes:
    file = BytesIO()
    with wave.open(str(assets.speech)) as whole, wave.open(file, "wb") as part:
        whole.setpos(round(start * whole.getframerate()))
        part.setparams(whole.getparams())
        part.writeframes(whole.readframes(round((end - start) * whole.getframerate())))
    return file.getvalue()


def test_six_short_files_of_one_worker_take_fewer_windows_than_files(
    assets: Assets, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows: list[int] = []
    hear = Recognizer.hear

    def counted(self: Recognizer, sounds: list[object], tongue: object) -> object:
        windows.append(len(sounds))
        return hear(self, sounds, tongue)  # type: ignore[arg-type]

    monkeypatch.setattr(Recognizer, "hear", counted)
    gpu = Gpu(worker_concurrency=len(PHRASES), beat_seconds=1.0, progress_seconds=1.0)
    engine = MediaProcessor(model=assets.model, weights=assets.weights, device="cpu", jobs_at_once=len(PHRASES))
    jobs = []
    for number, (start, end, _) in enumerate(PHRASES):
        sound = _cut(assets, start, end)
        gpu.services.objects.put("uploads", f"phrase-{number}.bin", sound)
        facts = FileFacts(kind="audio", file_type="wav", content_type="audio/wav", size=len(sound), found="a WAV audio")
        asked = request(gpu.services, idempotency_key=f"phrase-{number}", file=facts, operations=(Transcribe(),))
        jobs.append(gpu.world.submit(asked).job)
    gpu.services.clock.advance(5)
    Drain(replace(gpu.worker, processor=engine), gpu.subscription, idle_seconds=0.5).run()
    assert gpu.states(*jobs) == [State.SUCCEEDED] * len(jobs)
    for job, (_, _, words) in zip(jobs, PHRASES, strict=True):
        assert words in gpu.services.objects.data("results", f"{job.job_id}/1/transcript.txt").decode().lower()
    assert 1 <= sum(windows) < len(PHRASES)
