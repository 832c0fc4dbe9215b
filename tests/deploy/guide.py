"""`python -m tests.deploy.guide`: writes the table of rights in docs/operations-guide.md anew."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.resources import Account, declared
from tests.wiring.tree import ROOT

FILE = ROOT / "docs" / "operations-guide.md"
_MARKED = re.compile(r"(?<=<!-- rights -->\n).*?(?=<!-- /rights -->)", re.DOTALL)
#: By what the roles on a bucket allow together.
_BUCKET = {
    frozenset({"objectUser"}): "reads and writes",
    frozenset({"objectViewer", "objectCreator"}): "reads and adds to",
    frozenset({"objectCreator"}): "adds to",
    frozenset({"objectViewer"}): "reads",
}


def table() -> str:
    rows = [f"| `{name}` | {each.does} | {'; '.join(_may(each))} |" for name, each in declared().accounts.items()]
    return "\n".join(["| account | is | may |", "|---|---|---|", *rows]) + "\n"


def with_table(text: str) -> str:
    return _MARKED.sub(lambda _: table(), text)


def _may(account: Account) -> Iterator[str]:
    for roles, does in _BUCKET.items():
        if named := [name for name, each in account.buckets.items() if each == roles]:
            yield f"{does} {_list(named)}"
    for verb, named in (
        ("publishes to", account.topics),
        ("pulls", account.subscriptions),
        ("adds tasks to", account.queues),
        ("starts the Jobs", account.jobs),
        ("calls", account.calls),
    ):
        if named:
            yield f"{verb} {_list(named)}"
    if account.signs:
        yield "signs URLs as itself"
    if account.project:
        yield f"in the project {_list(role.removeprefix('roles/') for role in account.project)}"


def _list(names: Iterator[str] | list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    FILE.write_text(with_table(FILE.read_text()))
