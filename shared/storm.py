"""Dead letters as alerts: the first at once, then one summary for all that follow, however many come.

storms/dead-letters   when the last alert was, and until when letters are told of

`tell` gets letters as they come, `summarise` is the sweep's. The letters themselves are what is counted, so nothing has
to be written for each, and none is forgotten or counted twice whatever dies between.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.alerts import Alert
from shared.errors import RateLimited, RecordUnreadable, Unavailable
from shared.letters import KeptLetter, LetterState, state_of
from shared.moments import day_of
from shared.objects import StoredObject
from shared.services import Services

_log = logging.getLogger(__name__)

#: Letters that come within so long of the last alert are told together.
WINDOW: Final = timedelta(minutes=15)
#: After so long without a letter a storm is over; after so long without a summary no sweep is at work.
_LULL: Final = 2 * WINDOW
_OBJECT: Final = "storms/dead-letters"
#: A letter bears the time at which it began to be kept: within so long after it, a listing has it.
_ON_ITS_WAY: Final = timedelta(minutes=1)


class Storm(BaseModel):
    model_config = ConfigDict(frozen=True)

    opened_at: AwareDatetime
    #: The letters that were told at once, since the last summary: one that comes again is told again.
    told: tuple[str, ...]
    alerted_at: AwareDatetime
    #: Letters kept before are told of.
    told_until: AwareDatetime
    #: Nothing is left to tell.
    is_over: bool = False


def tell(letter_id: str, letter: KeptLetter, services: Services) -> None:
    """Raise an alert for a letter that is kept, unless a storm is on. Safe to repeat; raises RetryableError."""
    stored = _read(services)
    storm = _parsed(stored) if stored else None
    if _is_untold(letter_id, letter, storm):
        _open(letter_id, letter, storm, stored.generation if stored else 0, services)
        # Another letter may have been quicker; or this one's write took effect, and its answer was lost.
        stored = _read(services)
        storm = _parsed(stored) if stored else None
        if _is_untold(letter_id, letter, storm):
            # It was the sweep that was quicker: it has ended the storm, and has not seen this letter.
            raise Unavailable("the storm ended while this letter came")
    if storm is not None and letter_id in storm.told:
        services.topics.publish("alerts", _first_alert(letter_id, letter).model_dump_json().encode(), {})


def summarise(services: Services) -> int:
    """Tell in one alert of the letters since the last one, if it is time; answers how many. Safe to repeat."""
    stored = _read(services)
    if stored is None:
        return 0
    storm, now = _parsed(stored), services.now()
    if storm.is_over or now - storm.alerted_at < WINDOW:
        return 0
    until = now - _ON_ITS_WAY
    waiting = _waiting(storm, services)
    letters = [letter for letter in waiting if letter.kept_at < until]
    if letters:
        services.topics.publish("alerts", _summary(storm, letters).model_dump_json().encode(), {})
        _write(
            storm.model_copy(update={"alerted_at": now, "told_until": until, "told": storm.told[-1:]}),
            stored.generation,
            services,
        )
        _log.warning("dead letters told together", extra={"event": "letters.summed_up", "number": len(letters)})
    elif not waiting and now - storm.alerted_at >= _LULL + _ON_ITS_WAY:
        # A letter that is not seen yet began to be kept after the lull, and takes this storm for past.
        _write(storm.model_copy(update={"is_over": True, "told_until": until}), stored.generation, services)
    return len(letters)


def _is_untold(letter_id: str, letter: KeptLetter, storm: Storm | None) -> bool:
    """Whether nothing has told of this letter, nor soon will."""
    return storm is None or (letter_id not in storm.told and _is_past(storm, letter))


def _is_past(storm: Storm, letter: KeptLetter) -> bool:
    """Whether nothing sums up this letter soon: the storm is over, or no sweep has come for long."""
    return storm.is_over or letter.kept_at - storm.alerted_at >= _LULL


def _open(letter_id: str, letter: KeptLetter, before: Storm | None, generation: int, services: Services) -> None:
    """Begin a storm with this letter, unless another is quicker. What nobody has summed up yet is told with it."""
    at = letter.kept_at
    told = before.told if before and not before.is_over else ()
    # Of those that came just before the very first, each has left the alert to this one.
    told_until = before.told_until if before else at - _ON_ITS_WAY
    _write(Storm(opened_at=at, told=(*told, letter_id), alerted_at=at, told_until=told_until), generation, services)


def _waiting(storm: Storm, services: Services) -> list[KeptLetter]:
    """Letters that are not told of yet, but for those about which there is nothing to do.

    All letters of these days are read, however many: their names are not in the order in which they came.
    """

    def waiting(letter_id: str) -> KeptLetter | None:
        letter = services.letters.get(letter_id)
        if letter is None or letter.kept_at < storm.told_until:
            return None
        return letter if _state(letter_id, letter, services) is LetterState.WAITING else None

    ids = services.letters.ids(start=day_of(storm.told_until))
    found = services.side_by_side.map(waiting, [each for each in ids if each not in storm.told])
    return [letter for letter in found if letter]


def _state(letter_id: str, letter: KeptLetter, services: Services) -> LetterState:
    try:
        seen = services.store.get(letter.job_id) if letter.job_id else None
    except RecordUnreadable:
        return LetterState.WAITING
    return state_of(letter, seen.job if seen else None, is_replaced=services.letters.is_replaced(letter_id))


def _read(services: Services) -> StoredObject | None:
    return services.objects.read(services.settings.state_bucket, _OBJECT)


def _write(storm: Storm, generation: int, services: Services) -> None:
    """Unless another has written it meanwhile, or within this second."""
    data = storm.model_dump_json().encode()
    with suppress(RateLimited):
        services.objects.write(services.settings.state_bucket, _OBJECT, data, if_generation=generation)


def _parsed(stored: StoredObject) -> Storm:
    return Storm.model_validate_json(stored.data)


def _first_alert(letter_id: str, letter: KeptLetter) -> Alert:
    return Alert(
        id=f"dead-letter/{letter_id.partition('/')[2]}",
        source="hub",
        title="A job is dead-lettered" if letter.job_id else "A message could not be read",
        state="open",
        severity="critical",
        summary=f"{letter.code}: {letter.reason}",
        labels={"job_id": letter.job_id or "", "code": letter.code},
        started_at=letter.kept_at,
    )


def _summary(storm: Storm, letters: list[KeptLetter]) -> Alert:
    counts = Counter(letter.code for letter in letters).most_common()
    words = ", ".join(f"{code} {count}" for code, count in counts)
    number = f"{len(letters)} more dead letters" if len(letters) > 1 else "1 more dead letter"
    return Alert(
        # The same when a summary is told again, unless another letter has come to it meanwhile.
        id=f"dead-letters/{storm.opened_at.isoformat()}/{max(letter.kept_at for letter in letters).isoformat()}",
        source="hub",
        title=number,
        state="open",
        severity="critical",
        summary=f"since {storm.told_until:%Y-%m-%d %H:%M} UTC: {words}",
        labels={code: str(count) for code, count in counts},
        started_at=storm.opened_at,
    )
