"""One picture of a simulated run: backlog, pods, and how the finish depends on what was assumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.autoscaling_model import Moment, Run
from bench.autoscaling_policy import Policy

_INK, _GREY, _BLUE, _GREEN, _AMBER, _RED = "#1f2933", "#9aa5b1", "#2b6cb0", "#2f855a", "#d69e2e", "#c53030"
_MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Curve:
    label: str
    #: (real-time factor, least, median, most finish in seconds)
    points: tuple[tuple[float, float, float, float], ...]


def draw(
    file: Path, run: Run, policy: Policy, curves: Sequence[Curve], *, limit: float, marks: Mapping[float, str]
) -> None:
    """Write a PNG."""
    figure = Figure(figsize=(11, 11.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    backlog, pods, sensitivity = figure.subplots(3, 1, height_ratios=[1.0, 1.0, 1.1])
    pods.sharex(backlog)
    _draw_backlog(backlog, run, limit)
    _draw_pods(pods, run, policy, limit)
    _draw_sensitivity(sensitivity, curves, limit, marks)
    for axes in (backlog, pods, sensitivity):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e4e7eb", linewidth=0.8)
        axes.set_axisbelow(True)
    caption = (
        "Simulated, not run on GKE. Measured, on a CPU: the real-time factors. Assumed: lengths, node and image times."
    )
    figure.supxlabel(caption, fontsize=9, color=_INK, x=0.01, ha="left")
    figure.savefig(file)


def _steps(run: Run, value: Callable[[Moment], int]) -> tuple[list[float], list[int]]:
    return [moment.at / _MINUTE for moment in run.history], [value(moment) for moment in run.history]


def _draw_backlog(axes: Axes, run: Run, limit: float) -> None:
    axes.step(
        *_steps(run, lambda moment: moment.backlog), where="post", color=_BLUE, linewidth=2, label="files not done"
    )
    seen = _steps(run, lambda moment: moment.seen)
    axes.step(*seen, where="post", color=_GREY, linewidth=1.8, linestyle="--", label="as the metric shows it")
    finish = run.finish / _MINUTE
    axes.annotate(
        f"last file done\n{finish:.1f} min",
        (finish, 0),
        xytext=(finish + 0.4, 8.5),
        arrowprops={"arrowstyle": "-", "color": _BLUE},
        color=_BLUE,
        va="bottom",
    )
    axes.axvline(limit / _MINUTE, color=_RED, linewidth=1.2)
    axes.text(limit / _MINUTE - 0.2, axes.get_ylim()[1] * 0.97, "limit", color=_RED, ha="right", va="top")
    axes.set_title(
        "Backlog of gpu-gke-work: the median of the simulated runs", loc="left", color=_INK, fontweight="bold"
    )
    axes.set_ylabel("messages")
    axes.set_ylim(bottom=0)
    axes.tick_params(labelbottom=True)
    axes.set_xlabel("minutes since the files arrived")
    axes.legend(frameon=False, loc="upper right", bbox_to_anchor=(0.93, 1.0))


def _draw_pods(axes: Axes, run: Run, policy: Policy, limit: float) -> None:
    minutes = [moment.at / _MINUTE for moment in run.history]
    axes.stackplot(
        minutes,
        [moment.working for moment in run.history],
        [moment.idle for moment in run.history],
        [moment.starting for moment in run.history],
        labels=["working", "idle", "starting: node, image, model"],
        colors=[_GREEN, "#c6e6d3", _AMBER],
        step="post",
        linewidth=0,
    )
    axes.step(*_steps(run, lambda moment: moment.wanted), where="post", color=_INK, linewidth=1.8, label="asked for")
    axes.axhline(policy.maximum, color=_GREY, linewidth=1, linestyle=":")
    axes.axvline(limit / _MINUTE, color=_RED, linewidth=1.2)
    first = run.first_work / _MINUTE
    axes.annotate(
        f"first pod\nat work\n{first:.1f} min",
        (first, 0.5),
        xytext=(0.3, 1.7),
        arrowprops={"arrowstyle": "->", "color": _INK},
        color=_INK,
    )
    title = f"gpu-runner pods, 0 to {policy.maximum}: {run.pod_seconds / _MINUTE:.0f} pod minutes paid for"
    axes.set_title(title, loc="left", color=_INK, fontweight="bold")
    axes.set_ylabel("pods")
    axes.set_ylim(0, policy.maximum + 0.6)
    axes.set_yticks(range(policy.maximum + 1))
    axes.set_xlabel("minutes since the files arrived")
    axes.set_xlim(0, max(limit, run.history[-1].at) / _MINUTE + 1)
    axes.legend(frameon=False, loc="upper center", ncols=4, bbox_to_anchor=(0.5, 1.02), fontsize=9)


def _draw_sensitivity(axes: Axes, curves: Sequence[Curve], limit: float, marks: Mapping[float, str]) -> None:
    for curve, color in zip(curves, (_BLUE, _AMBER, _GREEN), strict=False):
        factors = [factor for factor, *_ in curve.points]
        axes.plot(factors, [median / _MINUTE for _, _, median, _ in curve.points], color=color, label=curve.label)
        least, most = ([point[index] / _MINUTE for point in curve.points] for index in (1, 3))
        axes.fill_between(factors, least, most, color=color, alpha=0.15, linewidth=0)
    axes.axhline(limit / _MINUTE, color=_RED, linewidth=1.2)
    top = 2.5 * limit / _MINUTE
    axes.set_ylim(0, top)
    axes.text(0.699, limit / _MINUTE + 0.6, "30 minutes", color=_RED, ha="right")
    for factor, text in marks.items():
        axes.axvline(factor, color=_GREY, linewidth=1, linestyle=":")
        axes.text(factor + 0.002, top * 0.97, text, color=_INK, va="top", fontsize=9)
    axes.set_title(
        "All 30 files done, by real-time factor (median and range)", loc="left", color=_INK, fontweight="bold"
    )
    axes.set_xlabel("processing time / length of the recording")
    axes.set_ylabel("minutes")
    axes.set_xlim(0, 0.7)
    axes.legend(facecolor="white", edgecolor="none", framealpha=1, loc="lower right")
