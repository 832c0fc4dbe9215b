"""What was written, as storage's front saw it: the history of every record, and of every artifact."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from local.profile import RESULTS, STATE
from shared.job import TRANSITIONS, Job, State
from tests.chaos.calls import Call, written
from tests.chaos.http_front import HttpAnswer


@dataclass
class Journal:
    """Only writes that took effect are noted; their generations put them in order."""

    #: Job id → generation → the record as it was written.
    records: dict[str, dict[int, Job]] = field(default_factory=lambda: defaultdict(dict))
    #: Object name → generations.
    artifacts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    #: Object name → writes whose answers were lost: whoever wrote it writes it again, and rightly.
    lost: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def lose(self, call: Call) -> None:
        if call.verb == "write":
            with self._lock:
                self.lost[call.target.partition(" ")[2]] += 1

    def note(self, call: Call, headers: Mapping[str, str], answer: HttpAnswer) -> None:
        if call.verb != "write" or answer.status != 200:
            return
        bucket, _, name = call.target.partition(" ")
        generation = int(json.loads(answer.body)["generation"])
        with self._lock:
            if bucket == STATE and name.startswith("jobs/") and call.job:
                self.records[call.job][generation] = Job.model_validate_json(written(headers, call.body)[1])
            elif bucket == RESULTS:
                self.artifacts[name].append(generation)

    def history(self, job_id: str) -> list[tuple[int, Job]]:
        with self._lock:
            return sorted(self.records[job_id].items(), key=lambda written: written[0])

    def faults_of(self, job_id: str) -> list[str]:
        """What in this record's history may not be."""
        faults = []
        history = self.history(job_id)
        ends: dict[int, int] = defaultdict(int)
        for _, job in history[:1]:
            ends[job.submission] += job.state.is_terminal
        for (_, before), (_, after) in pairwise(history):
            step = f"{_named(before)} → {_named(after)}"
            is_note = after.state is before.state and after.submission == before.submission
            if after.state not in TRANSITIONS[before.state] and not is_note:
                faults.append(f"an illegal step, {step}")
            if after.state.is_terminal and not before.state.is_terminal:
                ends[after.submission] += 1
            if after.state in (State.SUCCEEDED, State.FAILED) and before.state.is_terminal and not is_note:
                faults.append(f"an outcome after the end, {step}")
            if after.state is State.SUCCEEDED and before.state is not State.SUCCEEDED:
                folder = after.outcome.folder if after.outcome else ""
                if not folder.endswith(f"/{job_id}/{before.attempt}/"):
                    faults.append(f"an outcome of another attempt, {step}: {folder}")
        faults += [f"submission {number} ended {count} times" for number, count in ends.items() if count > 1]
        return faults

    def written_after(self, prefix: str, generation: int) -> list[str]:
        """Artifacts under `prefix` that were written after that generation (of any object: storage's clock)."""
        with self._lock:
            last = {name: max(written) for name, written in self.artifacts.items() if name.startswith(prefix)}
        return [name for name, written in last.items() if written > generation]

    def written_again(self, prefix: str) -> list[str]:
        """Artifacts under `prefix` that were written more often than once for each write whose answer was lost."""
        with self._lock:
            times = {name: len(written) for name, written in self.artifacts.items() if name.startswith(prefix)}
            return [name for name, count in times.items() if count > 1 + self.lost[name]]


def _named(job: Job) -> str:
    return f"{job.state} {job.submission}.{job.attempt}"
