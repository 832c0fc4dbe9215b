"""A list on the terminal: a table for people, tab-separated lines for programs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text


def write(columns: Sequence[str], rows: Sequence[Sequence[Text]], console: Console, *, none: str) -> None:
    """The rows, of whose cells the last may take several lines; without a head where nobody looks at them.

    `none` is said to people when there are no rows.
    """
    if not console.is_terminal:
        for row in rows:
            console.file.write("\t".join(cell.plain for cell in row) + "\n")  # Rich makes spaces of tabs
        return
    if not rows:
        console.print(none)
        return
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=name != columns[-1], overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
