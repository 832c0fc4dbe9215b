"""Pictures from a video, evenly spread, at given times or one for each shot: thumbnails/0001.jpg and so on.

Black and blurred pictures are passed over where there is a choice; at given times there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from av.video.frame import VideoFrame

from shared.media.artifacts import ArtifactFolder
from shared.media.facts import VideoFacts
from shared.media.legibility import Inspector, Look
from shared.media.pictures import Painter, jpeg
from shared.media.shots import ShotFinder
from shared.media.sinks import Pictures
from shared.media.slots import Slot, of_shots, spread
from shared.operations import Thumbnails

_DEFAULT_COUNT: Final = 5


class ThumbnailMaker:
    """A video sink that writes each picture as soon as it is chosen; holds a frame for each that is being chosen."""

    def __init__(
        self,
        operation: Thumbnails,
        video: VideoFacts,
        length: float,
        folder: ArtifactFolder,
        *,
        is_image: bool,
        finder: ShotFinder | None = None,
    ) -> None:
        """`length` is the file's, in seconds; of an image there is one picture.

        With a `finder` there is one for each of its shots: to be sought, once it has found them.
        """
        self._width, self._length, self._folder = operation.width, length, folder
        self._finder = None if is_image else finder
        self._painter, self._inspector = Painter(video.aspect), Inspector()
        self._choices: list[_Choice] = []
        self._size = (0, 0)
        self._shots = 0
        slots: Sequence[Slot] = ()
        keyframes = False
        if is_image:
            slots = [(0.0,)]
        elif operation.seconds is not None:
            slots = [(moment,) for moment in operation.seconds]
        elif finder is None:
            start, end = video.span(length)
            slots = spread(operation.count or _DEFAULT_COUNT, (start, end))
            # Near enough: the picture is then one from its own part of the film.
            keyframes = video.keyframe_gap is not None and video.keyframe_gap <= (end - start) / len(slots) / 2
        self._choose_from(slots)
        self.needs = Pictures(moments=tuple(sorted(self._asked)), keyframes=keyframes, choices=len(slots))

    def add(self, frame: VideoFrame, moment: float) -> None:
        for index in self._asked[moment]:
            choice = self._choices[index]
            if not choice.is_made:
                choice.offer(frame, moment, self._inspector)
                if choice.is_settled:
                    self._take(index)

    def tries(self) -> Iterator[float]:
        """The moments to show one after the other where they are sought; what was shown decides the next."""
        if self._finder is not None:
            shots = self._finder.found()
            self._shots = len(shots)
            self._choose_from(of_shots(shots, self._finder.keyframes()))
        for index in sorted(range(len(self._choices)), key=lambda index: self._choices[index].slot[0]):
            choice = self._choices[index]
            for moment in choice.slot:
                if not choice.is_made and not choice.will_do:
                    yield moment
            if not choice.is_made:
                self._take(index)

    def finish(self) -> None:
        for index, choice in enumerate(self._choices):
            if not choice.is_made:
                self._take(index)

    @property
    def warnings(self) -> tuple[str, ...]:
        warnings = []
        asked = len(self._choices)
        if late := sum(choice.moment > self._length for choice in self._choices):
            end = f"{self._length:.2f} s"
            warnings.append(f"{late} of {asked} thumbnails lie after the end ({end}) and show the last picture")
        if self._shots > asked:
            warnings.append(f"of {self._shots} shots the {asked} longest have a thumbnail")
        return tuple(warnings)

    def write(self) -> dict[str, Any]:
        """The pictures are written already; answers the summary."""
        return {
            "count": len(self._choices),
            "names": [_name(index) for index in range(len(self._choices))],
            "seconds": [round(choice.moment, 3) for choice in self._choices],
            "width": self._size[0],
            "height": self._size[1],
        }

    def _choose_from(self, slots: Sequence[Slot]) -> None:
        self._choices = [_Choice(slot) for slot in slots]
        #: Who asks for the picture of a moment.
        self._asked: dict[float, list[int]] = {}
        for index, slot in enumerate(slots):
            for moment in slot:
                self._asked.setdefault(moment, []).append(index)

    def _take(self, index: int) -> None:
        picture = self._painter.paint(self._choices[index].make(), self._width)
        self._folder.write_bytes(_name(index), jpeg(picture), "image/jpeg")
        self._size = picture.size


class _Choice:
    """The choice of one picture: the first of its moments that will do, or else the best of them."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        #: Of the best picture so far.
        self.moment = slot[0]
        self.is_made = False
        self._frame: VideoFrame | None = None
        self._rank: tuple[bool, int, Look, int] | None = None
        self._offered = 0

    def offer(self, frame: VideoFrame, moment: float, inspector: Inspector) -> None:
        """The picture of one of the moments, in any order."""
        self._offered += 1
        if len(self.slot) == 1:
            self._frame = frame
            return
        look, place = inspector.look(frame), self.slot.index(moment)
        rank = (look.is_good, -place if look.is_good else 0, look, -place)
        if self._rank is None or rank > self._rank:
            self._rank, self._frame, self.moment = rank, frame, moment

    @property
    def will_do(self) -> bool:
        """Whether a good picture is among those offered."""
        return self._rank is not None and self._rank[0]

    @property
    def is_settled(self) -> bool:
        """Whether no other picture would be chosen."""
        return self._offered == len(self.slot) or (self.will_do and self.moment == self.slot[0])

    def make(self) -> VideoFrame:
        """Choose, and let go of the frame."""
        assert self._frame is not None  # noqa: S101
        frame, self._frame, self.is_made = self._frame, None, True
        return frame


def _name(index: int) -> str:
    return f"thumbnails/{index + 1:04}.jpg"
