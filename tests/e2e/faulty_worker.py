"""The real workers, with faults put in where a test asked for them: python -m tests.e2e.faulty_worker gpu|cpu.

A file FAULTS/<job id>/<kind>.<n> is one fault for one attempt: it is used up first, then happens.
kill: SIGKILL in the middle of the work. hold: the work goes on, reporting, until FAULTS/<job id>/release is there.
A file FAULTS/start.<n> kills an execution before its first pull.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from shared.media.process import MediaProcessor
from shared.operations import Operation
from shared.processor import Admit, Report, Result, admit_all
from shared.settings import from_environment
from shared.source import Source
from workers.signals import stop_on_sigterm

FAULTS = Path(os.environ.get("FAULTS", "."))


def use_up(folder: Path, kind: str) -> bool:
    for fault in sorted(folder.glob(f"{kind}.*")):
        try:
            fault.unlink()
        except FileNotFoundError:
            continue
        return True
    return False


class FaultyProcessor(MediaProcessor):
    def process(
        self,
        source: Source,
        operations: Sequence[Operation],
        folder: Path,
        *,
        explicit: bool,
        report: Report,
        admit: Admit = admit_all,
    ) -> Result:
        # The attempt's folder is named after its job.
        faults = FAULTS / folder.parent.name.partition("-")[0]
        if use_up(faults, "kill"):
            report("fault", 1.0)
            os.kill(os.getpid(), signal.SIGKILL)
        if use_up(faults, "hold"):
            while not (faults / "release").exists():
                report("fault", 2.0)
                time.sleep(0.05)
        return super().process(source, operations, folder, explicit=explicit, report=report, admit=admit)


if __name__ == "__main__":
    asked = stop_on_sigterm()
    from_environment()
    if use_up(FAULTS, "start"):
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[1] == "gpu":
        from workers.gpu.main import main

        sys.exit(main(sys.argv[2:], asked, FaultyProcessor))
    from workers.cpu.main import main as cpu

    sys.exit(cpu(asked, FaultyProcessor))
