"""Weeks, episodes, sentences and words of the review, each by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.ports import Ports
from monitoring.review import words
from monitoring.review.__main__ import main
from monitoring.review.alerts import LOOK, Episode, Fired, episodes, fired
from monitoring.review.figures import failure_shares, figures
from monitoring.review.findings import findings
from monitoring.review.page import page
from monitoring.review.prometheus import Prometheus, Series
from monitoring.review.questions import PANELS, STEP, Key
from monitoring.review.weeks import Period, Weeks, ask
from monitoring.rules import Rule, rules
from shared.errors import InvalidRequest, Unavailable
from tests.fakes.http_target import http_target

PERIOD = Period(datetime(2026, 11, 23, tzinfo=UTC), 7)
QUESTIONS = {question.key: question for panel in PANELS for question in panel.questions}
HOURS = 7 * 24


@dataclass
class FakeSource:
    """One value an hour for each question: (this week's, the week before's); an error for the rest that is asked."""

    values: Mapping[Key, tuple[float, float]] = field(default_factory=dict)
    errors: Mapping[str, Exception] = field(default_factory=dict)

    def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> tuple[Series, ...]:
        if error := self.errors.get(query):
            raise error
        key = next((key for key, question in QUESTIONS.items() if question.expr == query), None)
        if key is None or key not in self.values:
            return ()
        this, before = self.values[key]
        by = QUESTIONS[key].by
        points = tuple(
            (at, this if at > PERIOD.start else before) for at in (start + number * step for number in range(2 * HOURS))
        )
        assert points[-1][0] == end
        return (Series({by: "gpu-work"} if by else {}, points),)


def asked(**values: tuple[float, float]) -> Weeks:
    return ask(FakeSource({Key[name.upper()]: pair for name, pair in values.items()}), PERIOD)


def sentences(weeks: Weeks, *alerts: Fired, tone: str = "bad") -> list[str]:
    return [each.text for each in findings(weeks, alerts) if each.tone == tone]


GOOD = {"succeeded": (10.0, 10.0), "failed": (0.1, 0.1), "cost": (0.2, 0.2), "accept": (200.0, 200.0)}


@pytest.mark.parametrize("name", ["succeeded", "backlog", "gpu_run"])
def test_a_week_is_the_sum_the_peak_or_the_mean_of_its_hours(name: str) -> None:
    answer = asked(**{name: (3.0, 2.0)}).answers[Key[name.upper()]]
    factor = HOURS if name == "succeeded" else 1
    assert (answer.this, answer.before) == (3.0 * factor, 2.0 * factor)


def test_an_hour_belongs_to_the_week_it_lies_in() -> None:
    (line,) = asked(succeeded=(1.0, 2.0)).answers[Key.SUCCEEDED].lines
    assert (line.this[0][0], line.this[-1][0]) == (PERIOD.start + STEP, PERIOD.end)
    assert (line.before[0][0], line.before[-1][0]) == (PERIOD.start + STEP, PERIOD.end)
    assert len(line.this) == len(line.before) == HOURS


def test_what_is_refused_is_a_problem_of_that_question_alone() -> None:
    error = InvalidRequest("400: unknown metric")
    source = FakeSource({Key.SUCCEEDED: (1.0, 1.0)}, {QUESTIONS[Key.FAILED].expr: error})
    weeks = ask(source, PERIOD)
    assert weeks.answers[Key.FAILED].problem == "not answered (400: unknown metric)"
    assert weeks.answers[Key.SUCCEEDED].problem is None
    assert failure_shares(weeks) == (None, None), "nobody knows how many failed"


def test_no_failures_counted_are_no_failures() -> None:
    assert failure_shares(asked(succeeded=(1.0, 1.0))) == (0.0, 0.0)
    assert failure_shares(asked()) == (None, None)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ([], []),
        ([5], [(0, 5)]),
        ([5, 10, 15], [(0, 15)]),
        ([5, 10, 20], [(0, 10), (15, 20)]),
        ([5, 60], [(0, 5), (55, 60)]),
    ],
)
def test_looks_that_follow_each_other_are_one_episode(minutes: list[int], expected: list[tuple[int, int]]) -> None:
    def at(minute: int) -> datetime:
        return PERIOD.start + timedelta(minutes=minute)

    assert list(episodes(map(at, minutes))) == [Episode(at(start), at(end)) for start, end in expected]
    assert timedelta(minutes=5) == LOOK


def test_an_alert_that_cannot_be_asked_is_said_and_not_silent() -> None:
    rule = Rule("gpu", "Broken", "nonsense(", {"severity": "warning"}, {})
    (told,) = fired(FakeSource(errors={rule.expr: InvalidRequest("400: parse error")}), [rule], PERIOD)
    assert told.problem == "not answered (400: parse error)"
    assert "Broken: not answered (400: parse error)." in page(asked(**GOOD), [told], "a test")


def test_an_alert_that_tells_of_a_silence_is_known_by_its_expression() -> None:
    """An empty Prometheus (test_on_prometheus) shows that no other condition holds where nothing is known."""
    assert {rule.name for rule in rules() if "absent" in rule.expr} == {rule.name for rule in rules() if rule.absent}


def test_a_week_like_the_one_before_is_good() -> None:
    weeks = asked(**GOOD)
    assert sentences(weeks) == []
    assert sentences(weeks, tone="good") == [
        "As far as there is data, no limit was passed and no alert's condition held."
    ]
    assert "1,680 jobs were done, after 1,680 the week before (no change)." in sentences(weeks, tone="note")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"succeeded": (5.0, 10.0)}, "840 jobs were done, after 1,680 the week before (−50 %)"),
        ({"failed": (2.0, 0.1)}, "of the jobs that ended had failed, after 1 % the week before"),
        ({"dead": (0.1, 0.0)}, "17 jobs were dead-lettered"),
        ({"dead": (1 / HOURS, 0.0)}, "1 job was dead-lettered"),
        ({"backlog": (101.0, 5.0)}, "The backlog of gpu-work peaked at 101"),
        ({"oldest": (11.0, 5.0)}, "A message of gpu-work was 11 minutes old"),
        ({"gpu_run": (9.0, 50.0)}, "The GPU Job's GPUs were 9 % busy"),
        ({"gpu_gke": (9.0, 50.0)}, "The cluster's GPUs were 9 % busy"),
        ({"accept": (1200.0, 200.0)}, "In 168 hours accepting a job took more than a second (p95), the worst 1.2 s"),
        ({"cost": (0.3, 0.2)}, "A job cost $0.0300, after $0.0200 the week before (+50 %)"),
    ],
)
def test_what_passes_a_limit_is_a_sentence(changes: dict[str, tuple[float, float]], said: str) -> None:
    found = sentences(asked(**{**GOOD, **changes}))
    assert [text for text in found if said in text], found


@pytest.mark.parametrize(
    "changes",
    [
        {"backlog": (100.0, 5.0)},
        {"oldest": (10.0, 5.0)},
        {"gpu_run": (50.0, 50.0)},
        {"accept": (999.0, 200.0)},
        {"cost": (0.24, 0.2)},
        {"succeeded": (8.0, 10.0), "cost": (0.16, 0.2)},
    ],
)
def test_what_stays_within_its_limit_is_none(changes: dict[str, tuple[float, float]]) -> None:
    assert sentences(asked(**{**GOOD, **changes})) == []


def test_cheaper_jobs_and_full_gpus_are_not_bad() -> None:
    weeks = asked(**{**GOOD, "cost": (0.1, 0.2), "gpu_run": (97.0, 50.0)})
    assert sentences(weeks) == []
    assert any("−50 %" in text for text in sentences(weeks, tone="good"))


def test_the_alert_that_held_longest_is_named() -> None:
    def held(name: str, hours: int) -> Fired:
        return Fired(name, "warning", (Episode(PERIOD.start, PERIOD.start + timedelta(hours=hours)),), ())

    weeks = asked(**GOOD)
    assert sentences(weeks, held("A", 3)) == ["A held once, for 3 h in all."]
    assert sentences(weeks, held("A", 3), held("B", 1)) == ["A held once, for 3 h in all; B, too."]
    assert sentences(weeks, held("A", 3), held("B", 1), held("C", 1))[0].endswith("; 2 more alerts below.")


def test_without_jobs_nothing_is_called_good() -> None:
    assert sentences(asked(), tone="good") == []


def test_names_from_elsewhere_are_text_and_no_markup() -> None:
    answer = Series({"subscription_id": "<script>alert(1)</script>"}, ((PERIOD.end, 500.0),))

    class Hostile(FakeSource):
        def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> tuple[Series, ...]:
            return (answer,) if query == QUESTIONS[Key.BACKLOG].expr else ()

    text = page(ask(Hostile(), PERIOD), [], "a <b>source</b>")
    assert "<script>" not in text
    assert "a &lt;b&gt;source" in text


def test_every_figure_has_a_place_for_what_is_not_known() -> None:
    for figure in figures(asked(), []):
        assert figure.name == "Alerts" or words.amount(figure.this, figure.unit) == "–"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1240.0, "jobs", "1,240 jobs"),
        (3.44, "%", "3.4 %"),
        (3.0, "%", "3 %"),
        (None, "%", "–"),
        (12.3, "$", "$12.30"),
        (0.0123, "$", "$0.0123"),
        (0.0, "$", "$0.00"),
        (149.0, "", "149"),
    ],
)
def test_amounts(value: float | None, unit: str, text: str) -> None:
    assert words.amount(value, unit) == text


@pytest.mark.parametrize(
    ("this", "before", "text"),
    [
        (14.0, 10.0, "+40 %"),
        (5.0, 10.0, "−50 %"),
        (50.0, 10.0, "×5"),
        (10.0, 10.0, "no change"),
        (1.0, 0.0, "new"),
        (0.0, 0.0, "no change"),
        (None, 1.0, ""),
        (1.0, None, ""),
    ],
)
def test_changes(this: float | None, before: float | None, text: str) -> None:
    assert words.change(this, before) == text


@pytest.mark.parametrize(("minutes", "text"), [(25, "25 min"), (210, "3.5 h"), (180, "3 h"), (7 * 1440, "7 days")])
def test_lengths(minutes: int, text: str) -> None:
    assert words.length(timedelta(minutes=minutes)) == text


def test_an_hour_is_named_by_its_beginning_and_end() -> None:
    assert words.hour(datetime(2026, 11, 20, 0, tzinfo=UTC)) == "Thu 19 Nov, 23–24 h"


def test_nobody_there_is_one_sentence_and_no_page(tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("out")
    with Ports() as ports:
        assert main(["--url", f"http://127.0.0.1:{ports.take()}", "--out", str(out)]) == 3
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("days", ["0", "32", "x"])
def test_days_that_make_no_sense_are_bad_usage(days: str) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["--url", "http://127.0.0.1:9", "--days", days])
    assert exit.value.code == 2


def test_a_source_that_fails_throughout_is_no_quiet_week() -> None:
    errors = {question.expr: Unavailable("no answer") for question in QUESTIONS.values()}
    weeks = ask(FakeSource(errors=errors), PERIOD)
    assert not any(each.is_answered for each in weeks.answers.values())
    assert sentences(weeks, tone="good") == []


@pytest.mark.parametrize("status", [200, 404, 500, 503])
def test_an_answer_that_is_no_prometheuss_is_unavailable(status: int) -> None:
    with http_target() as target:
        target.answers(status)
        with pytest.raises(Unavailable):
            Prometheus(target.url).range("up", PERIOD.start, PERIOD.end, STEP)


def test_without_googles_credentials_one_sentence_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    url = "https://monitoring.googleapis.com/v1/projects/p/location/global/prometheus"
    assert main(["--url", url, "--out", str(tmp_path)]) == 3
    assert "gcloud auth application-default login" in capsys.readouterr().err
