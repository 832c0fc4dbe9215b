"""A person with a key at the real `ingest` behind a real socket, with fakes behind it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from typer.testing import CliRunner, Result
from werkzeug.serving import make_server

from hubctl.cli import app as hubctl_app
from shared.services import use
from tests.fakes.services import FakeServices
from tests.functions.serving import app


@dataclass(frozen=True)
class Desk:
    url: str
    everything: FakeServices

    def hubctl(self, *args: str, **environment: str) -> Result:
        env = {"HUB_URL": self.url, "HUB_API_KEY": "secret-operator-key", "NO_COLOR": "1", "COLUMNS": "200"}
        result = CliRunner().invoke(hubctl_app, args, env={**env, **environment})
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result


@contextmanager
def sitting(everything: FakeServices) -> Iterator[Desk]:
    with use(everything):
        server = make_server("127.0.0.1", 0, app("ingest"), threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Desk(f"http://127.0.0.1:{server.server_port}", everything)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
