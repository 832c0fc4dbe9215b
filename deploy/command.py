"""One command line as data: run by deploy.apply, printed by `plan` as it would be typed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final, Literal

Tool = Literal["gcloud", "kubectl"]


@dataclass(frozen=True, slots=True)
class Lookup:
    """An argument that ends in what another gcloud command prints: `--image=…@$(gcloud …)`."""

    prefix: str
    arguments: tuple[str, ...]


Argument = str | Lookup
#: None leaves a flag out; True and False are `--flag` and `--no-flag`; a mapping is `KEY=VALUE,…`; a tuple repeats it.
Flag = str | int | bool | Mapping[str, str] | tuple[str, ...] | Lookup | None


@dataclass(frozen=True, slots=True)
class File:
    """A file that a command is given; relative to the repository's root."""

    path: Path
    text: str

    def write(self, root: Path) -> None:
        """Whole or not at all, since whoever deploys beside this may be reading it."""
        path = root / self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as part:
            part.write(self.text)
        Path(part.name).replace(path)


@dataclass(frozen=True, slots=True)
class SecretValue:
    """What goes to standard input, so that it stands in no argument and no log: a file's text, or a random value."""

    setting: str
    file: Path | None


@dataclass(frozen=True, slots=True)
class Command:
    arguments: tuple[Argument, ...]
    #: What it is about, for the one line that is shown: "pubsub topics create gpu-tasks".
    title: str
    tool: Tool = "gcloud"
    #: Commands of one phase with the same lane run one after the other: they change the same thing.
    lane: str = ""
    files: tuple[File, ...] = ()
    secret: SecretValue | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """Commands that may run side by side; the next phase begins when all of them are done."""

    title: str
    commands: tuple[Command, ...]


Plan = tuple[Phase, ...]

#: Asks nothing: what needs an answer was asked before.
_QUIET: Final = "--quiet"


def gcloud(
    project: str,
    *words: Argument,
    about: str = "",
    lane: str = "",
    files: tuple[File, ...] = (),
    secret: SecretValue | None = None,
    more: Mapping[str, Flag] | None = None,
    **flags: Flag,
) -> Command:
    """`gcloud WORDS --project=… --flag=value … --quiet`; `more` are flags that are not known before.

    `about` says in the one line that is shown what the words do not.
    """
    title = " ".join([*(word if isinstance(word, str) else f"{word.prefix}…" for word in words), about]).rstrip()
    arguments = (
        *words,
        f"--project={project}",
        *_flags({**flags, **(more or {})}),
        _QUIET,
    )
    return Command(arguments, title, lane=lane, files=files, secret=secret)


def kubectl(*arguments: str, files: tuple[File, ...] = ()) -> Command:
    return Command(arguments, " ".join(arguments), tool="kubectl", lane="kubectl", files=files)


def typed(command: Command) -> str:
    """The command as one would type it in the repository's root."""
    line = " ".join([command.tool, *(_quoted(argument) for argument in command.arguments)])
    if command.secret is None:
        return line
    source = command.secret.file or "a new random value"
    return f"{line}  # {command.secret.setting} by standard input: {source}"


def _quoted(argument: Argument) -> str:
    if isinstance(argument, str):
        return shlex.quote(argument)
    return f'{argument.prefix}"$(gcloud {shlex.join(argument.arguments)})"'


def _flags(flags: Mapping[str, Flag]) -> Iterator[Argument]:
    for name, value in flags.items():
        flag = name.replace("_", "-")
        match value:
            case None:
                continue
            case True:
                yield f"--{flag}"
            case False:
                yield f"--no-{flag}"
            case Lookup(prefix, arguments):
                yield Lookup(f"--{flag}={prefix}", arguments)
            case tuple():
                yield from (f"--{flag}={each}" for each in value)
            case Mapping():
                yield f"--{flag}={','.join(f'{key}={each}' for key, each in value.items())}"
            case _:
                yield f"--{flag}={value}"
