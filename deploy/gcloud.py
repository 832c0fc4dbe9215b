"""Runs gcloud and kubectl, and says in one sentence why one failed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol

from deploy.command import Command, Lookup, Tool
from deploy.faults import CannotDeploy, NotSettledYet
from deploy.secret_values import secret_value
from shared.errors import JobError, NotFound

#: A build from source takes minutes; more than this is a hang.
_TIMEOUT_SECONDS: Final = 1800
_INSTALL: Final[Mapping[Tool, str]] = {
    "gcloud": "https://cloud.google.com/sdk/docs/install",
    "kubectl": "gcloud components install kubectl gke-gcloud-auth-plugin",
}

#: What another try mends: two writers met; or an account, agent or grant of a moment ago is not known everywhere yet.
_NOT_SETTLED: Final = re.compile(
    r"concurrent policy changes|ABORTED|conditionNotMet|HTTPError 412|Service account \S+ does not exist"
    r"|while using the Eventarc Service Agent|must be granted the 'Secret Manager Secret Accessor' role"
    r"|gserviceaccount\.com does not have (storage|artifactregistry)\."
    r"|actAs\b.*\(or it may not exist\)|Cloud Run Service Agent\b.* must have permission to read the image",
    re.IGNORECASE,
)
#: An API that is off; what needs it runs only after it was turned on, which takes minutes to be known everywhere.
_API_OFF: Final = re.compile(
    r"has not been used in project.*apis/api/(?P<one>[\w.]+\.com)|API \[(?P<other>[\w.]+)\] (?:is )?not enabled"
    r"|SERVICE_DISABLED",
    re.DOTALL,
)
#: In the order they are tried: pattern on gcloud's words, and the sentence; {0} is what is asked for, {1} what matched.
_SENTENCES: Final = (
    (r"(?:You do not currently have an active account|gcloud auth login|Reauthentication|invalid_grant)",
     "gcloud is not logged in: run `gcloud auth login`."),
    # New projects may build in some regions only, which Cloud Build calls a quota:
    # https://cloud.google.com/build/docs/locations#restricted_regions_for_some_projects
    (r"(cannot run builds in this region|no concurrent builds quota)",
     "{0}: Cloud Build runs nothing of this project in this region; docs/operations-guide.md says what to do."),
    (r"[Pp]ermission '?([a-zA-Z]+\.[\w.]+)'? (?:denied|is required|is missing)",
     "{0}: the permission {1} is missing."),
    (r"does not have (?:permission )?'?([a-zA-Z]+\.[\w.]+)'?",
     "{0}: the permission {1} is missing."),
    (r"(PERMISSION_DENIED|does not have permission|\b403\b)",
     "{0}: permission denied; ask an owner of the project for the roles that docs/operations-guide.md lists."),
    (r"(?:[Qq]uota|RESOURCE_EXHAUSTED)",
     "{0}: a quota is used up or was not granted; docs/operations-guide.md says how to raise it."),
)  # fmt: skip
_MISSING: Final = re.compile(r"NOT_FOUND|[Nn]ot found|does not exist|could not be found|Cannot find|HTTPError 404")
_EXISTS: Final = re.compile(r"ALREADY_EXISTS|already exists|already own", re.IGNORECASE)


class Cloud(Protocol):
    """What reads and changes a project."""

    def read(self, *arguments: str) -> Any:
        """The answer of one gcloud command, parsed; raises NotFound, CannotDeploy."""

    def text(self, *arguments: str) -> str:
        """What one gcloud command prints; raises NotFound, CannotDeploy."""

    def run(self, command: Command) -> None:
        """Run it to its end; raises NotSettledYet, NotFound, CannotDeploy. What exists already is fine."""


@dataclass(frozen=True)
class RealCloud:
    """The tools of this machine, with this process's environment, in the repository's root."""

    root: Path
    #: What lookups have found: many commands may name one thing.
    _found: dict[tuple[str, ...], str] = field(default_factory=dict, compare=False, repr=False)
    _looking: Lock = field(default_factory=Lock, compare=False, repr=False)

    def read(self, *arguments: str) -> Any:
        answer = self.text(*arguments, "--format=json")
        return json.loads(answer) if answer.strip() else []

    def text(self, *arguments: str) -> str:
        return self._output("gcloud", [*arguments, "--quiet"], " ".join(arguments[:4])).strip()

    def run(self, command: Command) -> None:
        for file in command.files:
            file.write(self.root)
        arguments = [
            f"{each.prefix}{self._look_up(each)}" if isinstance(each, Lookup) else each for each in command.arguments
        ]
        typed = secret_value(command.secret) if command.secret else None
        try:
            self._output(command.tool, arguments, command.title, typed)
        except _AlreadyThere:
            return

    def _look_up(self, lookup: Lookup) -> str:
        with self._looking:
            if lookup.arguments not in self._found:
                answer = self.text(*lookup.arguments)
                if not answer:
                    raise NotSettledYet(f"{' '.join(lookup.arguments[:4])}: nothing is found.")
                self._found[lookup.arguments] = answer
            return self._found[lookup.arguments]

    def _output(self, tool: Tool, arguments: Sequence[str], title: str, typed: str | None = None) -> str:
        """Standard output; nothing of a secret's value is ever part of an error."""
        try:
            done = subprocess.run(  # noqa: S603 a list and no shell
                [executable(tool), *arguments],
                cwd=self.root,
                input=typed or "",
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as cause:
            raise CannotDeploy(f"{title}: no end after {_TIMEOUT_SECONDS // 60} minutes.") from cause
        if done.returncode != 0:
            raise failure(title, done.stderr)
        return done.stdout


class _AlreadyThere(CannotDeploy):
    """What should be made is there: an answer got lost, or another hand was quicker."""


def executable(tool: Tool) -> str:
    """Where the tool is; raises CannotDeploy."""
    found = shutil.which(tool)
    if found is None:
        raise CannotDeploy(f"{tool} is not installed: {_INSTALL[tool]}")
    return found


def failure(title: str, said: str) -> JobError:
    """The error for what a tool wrote to standard error."""
    if _NOT_SETTLED.search(said):
        return NotSettledYet(f"{title}: {_last_words(said)}")
    if off := _API_OFF.search(said):
        name = off["one"] or off["other"] or "that it needs"
        return NotSettledYet(f"{title}: the API {name} is not enabled in this project, or not known to be yet.")
    for pattern, sentence in _SENTENCES:
        if found := re.search(pattern, said):
            return CannotDeploy(sentence.format(title, next((each for each in found.groups() if each), "it needs")))
    if _EXISTS.search(said):
        return _AlreadyThere(f"{title}: {_last_words(said)}")
    if _MISSING.search(said):
        return NotFound(f"{title}: {_last_words(said)}")
    return CannotDeploy(f"{title}: {_last_words(said)}")


def _last_words(said: str) -> str:
    """gcloud's own sentence, without its command's name in front."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:] or ["it failed and said nothing"]
    return re.sub(r"^ERROR: (\([\w.-]+\) )?", "", errors[-1])
