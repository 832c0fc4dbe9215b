"""The whole review, asked of a real Prometheus that holds two made-up weeks."""

from __future__ import annotations

import base64
import html
import re
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from local.prometheus_tools import PrometheusTools
from monitoring.review.__main__ import main
from monitoring.review.alerts import fired
from monitoring.review.figures import figures
from monitoring.review.prometheus import Prometheus
from monitoring.review.questions import PANELS, Key
from monitoring.review.weeks import Weeks, ask
from monitoring.rules import rules
from shared.errors import InvalidRequest
from tests.review.prometheus import prometheus
from tests.review.world import PERIOD, TROUBLE, Recorder, sweeps, two_weeks, waiting


@pytest.fixture(scope="module")
def weeks(hub_url: str) -> Weeks:
    return ask(Prometheus(hub_url), PERIOD)


def test_every_question_is_answered(weeks: Weeks) -> None:
    assert {each.question.key: each.problem for _, each in weeks.problems} == {}


@pytest.mark.parametrize(
    ("key", "series"),
    [
        (Key.SUCCEEDED, 'logging_googleapis_com:user_job_succeeded{monitored_resource="cloud_run_job",device="cuda"}'),
        (Key.FAILED, 'logging_googleapis_com:user_job_failed{monitored_resource="cloud_run_job",code="unavailable"}'),
        (Key.COST, "logging_googleapis_com:user_job_cost_sum"),
    ],
)
def test_what_is_counted_by_the_hour_adds_up_to_the_week(
    weeks: Weeks, recorded: Recorder, key: Key, series: str
) -> None:
    """Of all resources that log it, where the series names none."""
    counters, answer = (
        [dict(each) for name, each in recorded.samples.items() if name.startswith(series)],
        weeks.answers[key],
    )
    start, middle, end = (
        sum(each[at.timestamp()] for each in counters) for at in (PERIOD.before, PERIOD.start, PERIOD.end)
    )
    assert answer.this == pytest.approx(end - middle, rel=0.02)
    assert answer.before == pytest.approx(middle - start, rel=0.02)


def test_peaks_are_found_where_they_were(weeks: Weeks) -> None:
    peak = weeks.answers[Key.BACKLOG].peak()
    assert peak is not None
    at, messages, subscription = peak
    assert (round(messages), subscription) == (149, "gpu-work")
    assert TROUBLE[0] < at <= TROUBLE[1]


def test_a_subscription_that_a_changed_filter_gave_another_name_is_waited_on_too(weeks: Weeks) -> None:
    for key in (Key.BACKLOG, Key.OLDEST):
        (renamed,) = [line for line in weeks.answers[key].lines if line.name == "gpu-gke-work-1a2b3c"]
        assert (len(renamed.before), len(renamed.this)) == (0, 7 * 24)


def test_utilisation_is_of_the_hours_in_which_machines_ran(weeks: Weeks) -> None:
    gpu = weeks.answers[Key.GPU_RUN]
    (line,) = gpu.lines
    assert len(line.this) < 7 * 24
    assert min(value for _, value in line.this) > 30
    assert max(value for _, value in line.this) == pytest.approx(97, abs=0.5)


def test_the_week_before_lies_under_this_one(weeks: Weeks) -> None:
    (line,) = weeks.answers[Key.SUCCEEDED].lines
    assert {at for at, _ in line.before} == {at for at, _ in line.this}


def test_alerts_whose_conditions_held_are_told_with_how_long(hub_url: str) -> None:
    told = {each.name: each for each in fired(Prometheus(hub_url), rules(), PERIOD)}
    assert {name: each.problem for name, each in told.items() if each.problem} == {}
    held = {name for name, each in told.items() if each.this}
    assert held == {"DeadLetters", "SlowAnswers", "GpuSaturated", "OldestMessageWaits", "GpuBacklog"}
    assert not [name for name, each in told.items() if each.before]
    assert timedelta(hours=5) < told["SlowAnswers"].held < timedelta(hours=7)
    (episode,) = told["GpuBacklog"].this
    assert TROUBLE[0] < episode.start < episode.end < TROUBLE[1]


def test_figures_say_what_is_worse(hub_url: str, weeks: Weeks) -> None:
    named = {each.name: each for each in figures(weeks, fired(Prometheus(hub_url), rules(), PERIOD))}
    share = named["Failed jobs"]
    assert share.this is not None
    assert share.before is not None
    assert share.this > 10 > 2 > share.before
    assert named["Cost of a job"].this == pytest.approx(0.012, rel=0.05)


def test_the_command_writes_one_page_that_needs_nothing_else(
    hub_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    until = PERIOD.end.isoformat()
    assert main(["--url", hub_url, "--until", until, "--out", str(tmp_path / "review")]) == 0
    told = capsys.readouterr().out
    assert "The backlog of gpu-work peaked at 149 on Thu 19 Nov, 14–15 h" in told
    text = (tmp_path / "review" / "index.html").read_text()
    assert set(re.findall(r'(?:src|href)="(\w+:)', text)) == {"data:"}
    for panel in PANELS:
        assert panel.title in text
    assert "No data" not in text
    pictures = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', text)
    assert len(pictures) == len(PANELS) + 1
    for picture in pictures:
        assert ElementTree.fromstring(base64.b64decode(picture)).tag == "{http://www.w3.org/2000/svg}svg"
    for line in told.splitlines()[:-1]:
        assert html.escape(line[6:]) in text


def test_without_data_the_page_says_so_for_every_question(
    tools: PrometheusTools, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with prometheus(tools, tmp_path, Recorder()) as url:
        assert main(["--url", url, "--until", PERIOD.end.isoformat(), "--out", str(tmp_path / "review")]) == 0
    text = (tmp_path / "review" / "index.html").read_text()
    assert text.count("No data for") == len([each for panel in PANELS for each in panel.questions])
    told = capsys.readouterr().out
    assert "No job succeeded, as far as the metrics know." in told
    assert "Without data: " in told
    assert "good " not in told
    assert "bad " not in told, "what nobody has looked at is not broken"
    assert "Not judged: SweepNotRunning; the page says why." in told
    assert "SweepNotRunning: not judged, since there is no data of logging_googleapis_com:user_sweep_done" in text


def test_a_prometheus_that_came_late_judges_from_then_on(
    tools: PrometheusTools, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    came, off = PERIOD.end - timedelta(hours=30), PERIOD.end - timedelta(hours=10)

    def sweeps_but_for_an_hour(to: Recorder, at: datetime, load: float, bad: bool) -> None:
        if not off <= at < off + timedelta(hours=1):
            sweeps(to, at, load, bad)

    with prometheus(tools, tmp_path, two_weeks(waiting, sweeps_but_for_an_hour, since=came)) as url:
        (told,) = [each for each in fired(Prometheus(url), rules(), PERIOD) if each.this or each.since]
        assert main(["--url", url, "--until", PERIOD.end.isoformat(), "--out", str(tmp_path / "review")]) == 0
    assert (told.name, told.before, told.since) == ("SweepNotRunning", (), came)
    (episode,) = told.this
    assert off < episode.start < episode.end < off + timedelta(hours=1, minutes=10)
    sentences = capsys.readouterr().out
    assert "bad   SweepNotRunning held once" in sentences
    assert "note  SweepNotRunning is judged from Sat 21 Nov, 18:00 on: before, its metric has no data." in sentences
    assert "note  This week is not whole: nothing is known from before Sat 21 Nov, 17–18 h." in sentences


def test_a_query_that_is_no_query_is_refused_in_prometheuss_own_words(hub_url: str) -> None:
    with pytest.raises(InvalidRequest, match="parse error"):
        Prometheus(hub_url).range("sum(", PERIOD.start, PERIOD.end, timedelta(hours=1))
