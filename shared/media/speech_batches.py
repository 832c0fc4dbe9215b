"""Speech of all the files that a process works on, through one model in shared batches.

Each file has a thread of its own, which waits here. One more thread, alive while there is work, owns the model: it
packs what all of them wait for into windows, lets the model hear several at once, and gives each file its words.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from typing import Final, Protocol

from shared.errors import JobError, ProcessingFailed, ResourceExhausted
from shared.media.packing import Window, pack
from shared.media.recognizer import Heard, Recognizer, Sound, Tongue
from shared.media.second_hearing import add_words
from shared.media.spoken import Spoken, Understood, sound

_log = logging.getLogger(__name__)

#: How often a waiting file's thread says how far it is, and may leave, in seconds.
_LOOK: Final = 0.25
#: How long a batch waits for files that are being made ready, in seconds. A lone file waits for nobody.
_GATHER: Final = 0.1


class Model(Protocol):
    """What loads a recognizer when it is first asked for: SpeechModel."""

    @property
    def name(self) -> str: ...

    def recognizer(self) -> Recognizer: ...


class SpeechBatches:
    """One for each model; shared by all threads."""

    def __init__(self, model: Model, most: int = 8) -> None:
        """`most` is how many windows the model hears at once, where the memory allows."""
        self._model = model
        self._most = most
        self._changed = threading.Condition()
        self._files: list[Spoken] = []
        self._expected = 0
        self._thread: threading.Thread | None = None

    @property
    def model_name(self) -> str:
        """The model's."""
        return self._model.name

    def understand(self, prepare: Callable[[], Spoken], progress: Callable[[float], None]) -> Understood:
        """Wait until all of a file is understood, which `prepare` makes ready.

        `progress` is called several times a second with the fraction done; what it raises takes this file out, and
        disturbs no other. Raises what `prepare` raises, ResourceExhausted when not even one window fits into the
        memory, MachineFault when the GPU fails, ProcessingFailed when the model gives up, Unavailable when it cannot be
        loaded.
        """
        file = self._admit(prepare)
        try:
            while not wait([file.answer], timeout=_LOOK).done:
                progress(file.fraction)
        finally:
            self._forget(file)
        return file.answer.result()

    def _admit(self, prepare: Callable[[], Spoken]) -> Spoken:
        with self._changed:
            self._expected += 1
        file = None
        try:
            file = prepare()
        finally:
            with self._changed:
                self._expected -= 1
                if file is not None and file.total:
                    self._files.append(file)
                    if self._thread is None:
                        self._thread = threading.Thread(target=self._serve, name="speech")
                        self._thread.start()
                self._changed.notify_all()
        if not file.total:
            file.finish()
        return file

    def _forget(self, file: Spoken) -> None:
        with self._changed:
            if file in self._files:
                self._files.remove(file)

    def _serve(self) -> None:
        try:
            while files := self._next():
                self._work(files)
        except BaseException as bug:  # the border of this thread: those who wait get it, and nobody waits for ever
            with self._changed:
                files, self._files, self._thread = self._files, [], None
            for file in files:
                file.fail(bug)

    def _next(self) -> list[Spoken]:
        """The files whose turn it is, all of one tongue; none when there is no work, and the thread ends."""
        with self._changed:
            self._changed.wait_for(lambda: not self._expected, timeout=_GATHER)
            if not self._files:
                self._thread = None
                return []
            tongue = self._files[0].tongue
            mine = [file for file in self._files if file.tongue == tongue]
            self._files = [file for file in self._files if file.tongue != tongue] + mine
            return mine

    def _work(self, files: Sequence[Spoken]) -> None:
        recognizer = self._model.recognizer()
        tongue = files[0].tongue
        if tongue is None:
            for file in files[: self._most]:
                self._find_language(file, recognizer)
            return
        windows = pack(files, self._most)
        results = self._hear([sound(window) for window in windows], tongue, recognizer)
        for window, heard in zip(windows, results, strict=True):
            self._give(window, heard, recognizer, tongue)
        for file in files:
            if not file.waiting:
                self._forget(file)
                file.finish()

    def _give(self, window: Window[Spoken], heard: Heard | JobError, recognizer: Recognizer, tongue: Tongue) -> None:
        """To each file in the window its words, or why there are none."""
        if isinstance(heard, ProcessingFailed) and len(window.runs) > 1:  # at one of the files, which it is to tell
            for run in window.runs:
                [result] = self._hear([sound(run.alone)], tongue, recognizer)
                self._give(run.alone, result, recognizer, tongue)
            return
        if isinstance(heard, JobError):
            failed = [(run.file, heard) for run in window.runs]
        else:
            failed = add_words(window, heard, recognizer, tongue)
        for file, error in failed:
            self._forget(file)
            file.fail(error)
        for run in window.runs:
            run.file.heard += run.length

    def _find_language(self, file: Spoken, recognizer: Recognizer) -> None:
        try:
            file.language, file.language_probability = recognizer.language(file.beginning())
        except JobError as error:
            self._forget(file)
            file.fail(error)

    def _hear(self, sounds: Sequence[Sound], tongue: Tongue, recognizer: Recognizer) -> list[Heard | JobError]:
        """Each window, or why not; what does not fit into the memory at once is heard in smaller batches, for good."""
        results: list[Heard | JobError] = []
        size = self._most
        while batch := sounds[len(results) : len(results) + size]:
            try:
                results += recognizer.hear(batch, tongue)
            except ResourceExhausted as error:
                if len(batch) == 1:
                    results.append(error)
                    continue
                size = self._most = (len(batch) + 1) // 2
                _log.warning("smaller batches", extra={"event": "model.batch_halved", "windows": size})
            except ProcessingFailed as error:
                if len(batch) == 1:
                    results.append(error)
                size = 1  # to find which it is
        return results
