"""The views of this folder: their texts, with the names of one deployment filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Final

FOLDER: Final = Path(__file__).parent
#: In the order of their making: a later one may read an earlier.
VIEWS: Final = ("bill", "monthly", "job_costs")


def view(name: str, names: Mapping[str, str]) -> str:
    """The statement that makes the view. Raises KeyError for a name of the deployment that is not given."""
    return Template((FOLDER / f"{name}.sql").read_text()).substitute(names)


def names(*, dataset: str, billing_export: str, logs: str, projects: Iterable[str]) -> Mapping[str, str]:
    """What stands for what in the texts; all tables and datasets as `project.dataset[.table]`."""
    quoted = ", ".join(f"'{project}'" for project in projects)
    return {"DATASET": dataset, "BILLING_EXPORT": billing_export, "LOGS": logs, "PROJECTS": quoted}
