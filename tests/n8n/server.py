"""A real n8n on loopback, with workflows imported and activated by its own command line, telling nobody outside."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local.ports import LOOPBACK, Ports
from local.processes import Processes, StartFailed, http_ready, wait_ready
from tests.n8n.install import PROGRAM
from tests.waiting import eventually

#: Its own words for "call home": usage, versions, templates, banners, licences, community nodes.
_SILENT: Final = dict.fromkeys(
    (
        "N8N_DIAGNOSTICS_ENABLED",
        "N8N_VERSION_NOTIFICATIONS_ENABLED",
        "N8N_TEMPLATES_ENABLED",
        "N8N_PERSONALIZATION_ENABLED",
        "N8N_HIRING_BANNER_ENABLED",
        "N8N_DYNAMIC_BANNERS_ENABLED",
        "N8N_LICENSE_AUTO_RENEW_ENABLED",
        "N8N_COMMUNITY_PACKAGES_ENABLED",
        "N8N_PUBLIC_API_DISABLED",
    ),
    "false",
)
_START_SECONDS: Final = 120
_ENDED: Final = frozenset({"success", "error", "crashed", "canceled"})


@dataclass(frozen=True)
class Execution:
    """One run of a workflow, as n8n's database has it."""

    id: str
    workflow: str
    status: str
    #: What n8n keeps of it: `resultData.runData` by node, `resultData.error`.
    data: dict[str, Any]

    def outputs(self, node: str) -> list[dict[str, Any]]:
        """The items' JSON of each run of a node, over all its outputs."""
        return [
            item["json"]
            for run in self.data["resultData"]["runData"].get(node, [])
            for output in (run.get("data") or {}).get("main", [])
            for item in output or []
        ]

    @property
    def error(self) -> str:
        return str(self.data["resultData"].get("error", {}).get("message", ""))

    def __str__(self) -> str:
        nodes = " → ".join(self.data["resultData"]["runData"])
        return f"{self.workflow} {self.id} is {self.status} {self.error!r}: {nodes}"


@dataclass(frozen=True)
class N8n:
    url: str
    database: Path
    #: Of its command line.
    environment: Mapping[str, str]

    def execute(self, workflow: str) -> None:
        """What a click on "Execute workflow" does, by its command line; returns when the execution waits or ends."""
        # In-process: the broker of the n8n that runs already has the port of the task runners.
        environment = {**self.environment, "N8N_RUNNERS_ENABLED": "false"}
        command = [PROGRAM, "execute", f"--id={workflow}"]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=_START_SECONDS)

    def webhook(self, path: str) -> str:
        return f"{self.url}/webhook/{path}"

    def executions(self, workflow: str) -> list[Execution]:
        """All of one workflow (by its id), oldest first."""
        query = """
            SELECT e.id, e.workflowId, e.status, d.data FROM execution_entity e
            JOIN execution_data d ON d.executionId = e.id WHERE e.workflowId = ? ORDER BY e.id
        """
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)) as database:
            rows = database.execute(query, (workflow,)).fetchall()
        return [Execution(str(id), workflow, status, unflattened(data)) for id, workflow, status, data in rows]

    def one(self, workflow: str, status: str, *, after: int = 0, within_s: float = 90) -> Execution:
        """The only execution beyond the first `after`, once it has this status; it may not end with another one."""

        def look() -> Execution | None:
            found = self.executions(workflow)[after:]
            assert len(found) <= 1, [str(each) for each in found]
            if not found or (found[0].status != status and found[0].status not in _ENDED):
                return None
            assert found[0].status == status, str(found[0])
            return found[0]

        return eventually(
            look, lambda: f"{status}: {[*map(str, self.executions(workflow)[after:])]}", within_s=within_s
        )


def unflattened(text: str) -> dict[str, Any]:
    """What the `flatted` library wrote: an array of values in which strings inside objects and arrays are indices."""
    values = json.loads(text)
    done: dict[int, Any] = {}

    def value(index: int) -> Any:
        if index not in done:
            raw = values[index]
            if isinstance(raw, dict):
                done[index] = filled = {}
                filled.update({name: inner(each) for name, each in raw.items()})
            elif isinstance(raw, list):
                done[index] = [inner(each) for each in raw]
            else:
                done[index] = raw
        return done[index]

    def inner(each: Any) -> Any:
        return value(int(each)) if isinstance(each, str) else each

    result: dict[str, Any] = value(0)
    return result


@contextmanager
def running(workflows: Sequence[Mapping[str, Any]], folder: Path, *, port: int, runners: bool) -> Iterator[N8n]:
    """n8n with these workflows (each with an `id`) active; Code nodes run in task runners, or in its own process."""
    with ExitStack() as stack:
        ports = stack.enter_context(Ports())
        processes = stack.enter_context(Processes())
        environment = _environment(folder, port, ports.take(), runners)
        files = folder / "workflows"
        files.mkdir()
        for workflow in workflows:
            (files / f"{workflow['id']}.json").write_text(json.dumps(workflow))

        def command(*arguments: str | Path) -> None:
            log = folder / f"{str(arguments[0]).replace(':', '-')}.log"
            child = processes.start([PROGRAM, *arguments], env=environment, log=log, name="n8n")
            if child.wait(_START_SECONDS) != 0:
                raise StartFailed(f"n8n {arguments[0]} failed\n{child.log_tail()}")

        command("import:workflow", "--separate", f"--input={files}")
        command("update:workflow", "--all", "--active=true")
        child = processes.start([PROGRAM, "start"], env=environment, log=folder / "n8n.log", name="n8n")
        url = f"http://{LOOPBACK}:{port}"
        # Ready is later than healthy: only then are the workflows active.
        wait_ready(child, http_ready(f"{url}/healthz/readiness"), within_s=_START_SECONDS)
        eventually(
            lambda: child.log.read_text().count("Activated workflow") >= len(workflows),
            child.log_tail,
            within_s=_START_SECONDS,
        )
        yield N8n(url, folder / ".n8n" / "database.sqlite", environment)


def _environment(folder: Path, port: int, broker_port: int, runners: bool) -> dict[str, str]:
    return {
        **_SILENT,
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "N8N_USER_FOLDER": str(folder),
        "N8N_LISTEN_ADDRESS": LOOPBACK,
        "N8N_PORT": str(port),
        "WEBHOOK_URL": f"http://{LOOPBACK}:{port}/",
        "N8N_RUNNERS_ENABLED": str(runners).lower(),
        "N8N_RUNNERS_BROKER_PORT": str(broker_port),
        "N8N_BLOCK_ENV_ACCESS_IN_NODE": "true",
        "N8N_ENFORCE_SETTINGS_FILE_PERMISSIONS": "true",
        "DB_SQLITE_POOL_SIZE": "2",
        "NO_COLOR": "1",
    }
