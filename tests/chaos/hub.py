"""A local cloud to be broken: what its callers and operators do with it, and what is put in their way."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from local.cloud import LocalCloud
from local.execution import GRACE_S
from local.processes import Child
from local.profile import RESULTS, STATE
from shared.job import WORKER_LOST, Job, job_id_for
from tests.chaos.faults import Fault, Plan
from tests.chaos.journal import Journal
from tests.chaos.media import Media, sha256
from tests.chaos.receiver import Receiver
from tests.e2e.driver import Driver
from tests.waiting import eventually


@dataclass
class Hub:
    """One local cloud, warm for many stories."""

    cloud: LocalCloud
    driver: Driver
    plan: Plan
    journal: Journal
    receiver: Receiver
    media: Media
    folder: Path
    #: What ends with this hub.
    stack: ExitStack
    #: Jobs whose promises are looked at, by their ids.
    asked: dict[str, Asked] = field(default_factory=dict)
    #: Objects that were uploaded until it held: each of their generations may have become a job.
    insisted: set[str] = field(default_factory=set)
    #: What a look from outside has told of already: jobs nobody asked for, and uploads.
    told: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=count)

    def put(self, *faults: Fault) -> None:
        self.plan.add(*faults)

    def happen(self, job_id: str, kind: str, times: int = 1) -> None:
        """The next `times` attempts at this job meet this (tests.chaos.worker.KINDS)."""
        self.driver.fault(job_id, kind, times)

    def note(self, job_id: str, **what: Any) -> str:
        """This job was accepted: from now on the promises are due to it."""
        self.asked[job_id] = Asked(job_id, **what)
        return job_id

    def upload(self, *, operations: str, name: str | None = None, has_hook: bool = False, **asked: Any) -> str:
        """A tiny recording into the uploads bucket, as people do it; answers the job's id."""
        path, hook = self._next(has_hook)
        metadata = {"operations": operations, **({"webhook_url": self.receiver.url(hook)} if hook else {})}
        job_id = self.driver.upload(path, name, **metadata)
        return self.note(job_id, hook=hook, sha256=sha256(path), **asked)

    def announced(
        self,
        *,
        operations: list[str],
        trouble: str | None = None,
        times: int = 1,
        has_hook: bool = False,
        answers: list[float] | None = None,
        hook_url: str | None = None,
        path: Path | None = None,
        **asked: Any,
    ) -> str:
        """The same by `POST /v1/uploads`, so that `trouble` waits for the job before it exists.

        `answers` are the webhook's receiver's, before its 200s; `hook_url` is another receiver's.
        """
        tiny, hook = self._next(has_hook)
        if hook and answers:
            self.receiver.answers[hook] = answers
        job_id, enter = self.ticket(path or tiny, operations, hook_url or (self.receiver.url(hook) if hook else None))
        if trouble:
            self.happen(job_id, trouble, times)
        enter()
        return self.note(job_id, hook=hook, sha256=None if path else sha256(tiny), **asked)

    def posted(
        self,
        *,
        operations: list[str],
        trouble: str | None = None,
        times: int = 1,
        has_hook: bool = False,
        wish: str | None = None,
        **asked: Any,
    ) -> str:
        """The same by `POST /v1/jobs`, on an object of which no event tells."""
        path, hook = self._next(has_hook)
        url = self.receiver.url(hook) if hook else None
        job_id, enter = self.posting(path, operations, url, key=path.stem, wish=wish)
        if trouble:
            self.happen(job_id, trouble, times)
        enter()
        return self.note(job_id, hook=hook, sha256=sha256(path), **asked)

    def ticket(
        self, path: Path, operations: list[str], hook_url: str | None, **more: str
    ) -> tuple[str, Callable[[], None]]:
        """The id of the job that an upload is going to be, and the upload."""
        asked = {
            "filename": path.name,
            "content_type": "application/octet-stream",
            **_body(operations, hook_url),
            **more,
        }
        answer = self.call("POST", "/v1/uploads", json=asked).json()

        def enter() -> None:
            content = path.read_bytes()
            httpx.put(answer["upload_url"], content=content, timeout=60, trust_env=False).raise_for_status()

        return answer["job_id"], enter

    def posting(
        self, path: Path, operations: list[str], hook_url: str | None, *, key: str, wish: str | None = None, **more: str
    ) -> tuple[str, Callable[[], None]]:
        """The id of the job that a POST under this key is going to be, and the POST."""
        name = f"sources/{path.name}"
        self.cloud.services.objects.upload(RESULTS, name, path, content_type="audio/wav")
        body = {"source": f"gs://{RESULTS}/{name}", **_body(operations, hook_url), **more}
        headers = {"Idempotency-Key": key, **({"X-Destination": wish} if wish else {})}
        job_id = job_id_for(f"local\0{key}")

        def enter() -> None:
            answer = self.call("POST", "/v1/jobs", json=body, headers=headers)
            assert (answer.status_code, answer.json().get("job_id")) == (202, job_id), answer.text

        return job_id, enter

    def _next(self, has_hook: bool) -> tuple[Path, str | None]:
        number = next(self._numbers)
        return self.media.wav(number), f"/hook/{number}" if has_hook else None

    def call(self, method: str, path: str, *, within_s: float = 40.0, **more: Any) -> httpx.Response:
        """As a client that tries again: a broken connection, 429 or 5xx is asked anew, with the same key."""

        def ask() -> httpx.Response | None:
            try:
                answer = self.driver.api(method, path, **more)
            except httpx.TransportError:
                return None
            return answer if answer.status_code < 500 and answer.status_code != 429 else None

        return eventually(ask, f"an answer to {method} {path}", within_s=within_s)

    def job(self, job_id: str) -> Job | None:
        return self.driver.job(job_id)

    def ended(self, job_id: str, *, within_s: float = 60.0) -> Job:
        return self.driver.ended(job_id, within_s=within_s)

    def at_work(self, job_id: str) -> Job:
        """The job once its engine holds it (trouble "hold")."""
        return self.driver.until(job_id, _is_held, "held", within_s=30)

    def release(self, job_id: str) -> None:
        """What is held may go on."""
        (self.folder / "faults" / job_id / "release").touch()

    def skew(self, seconds: float) -> None:
        """Workers that start from now on have clocks that are wrong: GPU workers' fast, CPU workers' slow."""
        for which, sign in (("gpu", 1), ("cpu", -1)):
            (self.folder / "faults" / f"{which}-clock").write_text(str(sign * seconds))

    def outlast(self, *, sweeps: int = 6) -> None:
        """Wait for so many sweeps, one a second: after six, a lease that nobody renews has been taken."""
        begun = self.plan.points["dispatch POST /sweep"]
        within = 60.0 + 2 * sweeps
        eventually(lambda: self.plan.points["dispatch POST /sweep"] > begun + sweeps, "sweeps", within_s=within)

    @contextmanager
    def short_tasks(self, seconds: float, *, is_known: bool = True) -> Iterator[None]:
        """Executions that start meanwhile have so much time, and know it unless told otherwise."""
        jobs = self.cloud.jobs._jobs
        before = dict(jobs)
        told = {"TASK_TIMEOUT_SECONDS": f"{seconds:g}"} if is_known else {}
        jobs.update((name, replace(job, timeout_s=seconds, env={**job.env, **told})) for name, job in before.items())
        self.empty_gpu()
        try:
            yield
        finally:
            jobs.update(before)
            self.empty_gpu()

    def empty_gpu(self) -> None:
        """No GPU execution runs, as after a quiet hour: the next job has one started."""
        running = [execution for execution in self.cloud.jobs.running() if execution.job.name.endswith("gpu-job")]
        for execution in running:
            execution.cancel()
        eventually(lambda: all(execution.completed for execution in running), "no GPU execution", within_s=30)

    def pods(self) -> tuple[Child, ...]:
        """Of the GKE route, those that are meant to run."""
        return self.cloud.autoscaler.pods if self.cloud.autoscaler else ()

    def stop_workers(self) -> None:
        """SIGTERM to every execution and pod, and SIGKILL 10 s later, as at the end of a machine."""
        for execution in self.cloud.jobs.running():
            execution.cancel()
        for pod in self.pods():
            threading.Thread(target=pod.stop, args=(GRACE_S,)).start()

    def calm(self) -> None:
        """The next dead letter begins its own storm, as a quarter of an hour after the last."""
        self.cloud.services.objects.delete(STATE, "storms/dead-letters")

    def hopeless(self, operation: str, **asked: Any) -> str:
        """A job whose attempts are used up, and whose letter is going to begin a storm of its own."""
        job_id = self.announced(operations=[operation], trouble="bug", times=5, **asked)
        # Not sooner: letters that are still on their way from before would begin one.
        self.driver.until(job_id, lambda job: job.attempts_counted >= 4, "its last attempts", within_s=60)
        self.calm()
        return job_id

    def unmet(self) -> list[str]:
        """Troubles that no attempt has met; what "real" stands for is no trouble."""
        left = (self.folder / "faults").glob("**/*.[0-9]*")
        return [f"{file.parent.name}/{file.name}" for file in left if not file.name.startswith("real.")]

    def reset(self) -> None:
        """No faults any more; what happened stays in the journal."""
        self.plan.clear()
        for each in self.folder.glob("faults/*"):
            shutil.rmtree(each) if each.is_dir() else each.unlink(missing_ok=True)


def own_attempts(job: Job) -> int:
    """The attempts that counted, but for those whose lease ran out: on a busy machine a worker may sleep that long."""
    lost = sum(each.submission == job.submission and each.failure == WORKER_LOST for each in job.attempts)
    return job.attempts_counted - lost


@dataclass(frozen=True)
class Asked:
    """One job that was accepted, and how it may end."""

    job_id: str
    #: The states that its own input allows; whatever happens to it, the fifth attempt may end as a dead letter.
    ends: frozenset[str] = frozenset({"succeeded"})
    #: The receiver's path, when a webhook was asked for.
    hook: str | None = None
    #: Of the source, when the checksum engine reads it.
    sha256: str | None = None
    #: May a passing fault use all attempts up?
    may_die: bool = True
    is_cancelled: bool = False
    redrives: int = 0


def _body(operations: list[str], hook_url: str | None) -> dict[str, Any]:
    return {"operations": operations, **({"webhook_url": hook_url} if hook_url else {})}


def _is_held(job: Job) -> bool:
    return job.progress is not None and job.progress.stage == "held"
