"""What a PromQL expression of ours selects, and the promtool that judges the rest of it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Selector:
    metric: str
    #: Label → operator and value.
    matchers: Mapping[str, tuple[str, str]]

    @property
    def base(self) -> str:
        """Without what a distribution's series end in."""
        return re.sub(r"_(bucket|sum|count)$", "", self.metric) if "distribution" in self.kind else self.metric

    @property
    def kind(self) -> str:
        return "distribution" if re.search(r"utilizations_|latencies_|user_job_cost_", self.metric) else "plain"

    def values(self, label: str) -> tuple[str, ...]:
        """What the matcher of one label asks for: the alternatives of a pattern, each a pattern."""
        operator, value = self.matchers.get(label, ("=", ""))
        return tuple(value.split("|")) if operator == "=~" and value else (value,) if value else ()


def selectors(expr: str) -> list[Selector]:
    """Each names at least one label; AssertionError when one is written without braces."""
    rest = re.sub(r'"[^"]*"', "", _SELECTOR.sub("", expr))
    assert not re.search(r"googleapis_com|kubernetes_io|kube_|DCGM", rest), f"a selector without labels: {expr}"
    return [
        Selector(metric, {label: (operator, value) for label, operator, value in _MATCHER.findall(matchers)})
        for metric, matchers in _SELECTOR.findall(expr)
    ]


def promtool(program: Path, *arguments: str | Path, cwd: Path) -> tuple[int, str]:
    """Exit status and all it says."""
    ran = subprocess.run(
        [program, *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
    )
    return ran.returncode, ran.stdout
