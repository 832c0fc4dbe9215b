"""The smoke test, on a hub that answers as the deployed one does."""

from __future__ import annotations

import io
import json
import threading
import wave
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy.faults import CannotDeploy
from deploy.smoke import smoke, tone
from deploy.web import call


class Hub(BaseHTTPRequestHandler):
    """Takes one upload; its job takes the states of `states`, one for each look."""

    states: list[str | None] = []  # noqa: RUF012 set by each test
    uploaded = b""
    port = 0

    def do_POST(self) -> None:
        assert self.headers["X-API-Key"] == "key"
        asked = json.loads(self._body())
        assert asked == {"filename": "smoke.wav", "content_type": "audio/wav"}
        url = f"http://127.0.0.1:{self.server.server_port}/upload?token=s3cret"  # type: ignore[attr-defined]
        self._answer(201, {"job_id": "j1", "upload_url": url})

    def do_PUT(self) -> None:
        type(self).uploaded = self._body()
        self._answer(200, {})

    def do_GET(self) -> None:
        assert self.path == "/v1/jobs/j1"
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        status = int(state) if state and state.isdigit() else 200 if state else 404
        self._answer(status, {"state": state})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _answer(self, status: int, body: dict[str, str | None]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *arguments: object) -> None:
        return


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.uploaded = b""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def run(hub: str, *states: str | None, patience: float = 60) -> str:
    Hub.states = list(states)
    return smoke(hub, "key", patience=patience, pause=lambda seconds: None)


def test_file_is_uploaded_and_its_job_waited_for(hub: str) -> None:
    assert run(hub, None, "queued", "running", "succeeded").startswith("smoke.wav became job j1 and succeeded after")
    assert Hub.uploaded == tone()


@pytest.mark.parametrize("state", ["failed", "dead_lettered", "cancelled"])
def test_job_that_ends_otherwise_fails_the_test(hub: str, state: str) -> None:
    with pytest.raises(CannotDeploy, match=f"j1 is {state}"):
        run(hub, "running", state)


def test_hiccup_of_the_hub_is_waited_out(hub: str) -> None:
    assert "succeeded" in run(hub, "running", "503", "500", "succeeded")


def test_refused_key_is_not_waited_out(hub: str) -> None:
    with pytest.raises(CannotDeploy, match="401"):
        run(hub, "running", "401", "succeeded")


def test_hub_that_stays_down_fails_the_test(hub: str) -> None:
    with pytest.raises(CannotDeploy, match="j1 is not known after"):
        run(hub, "503", patience=0)


def test_job_that_does_not_end_in_time_fails_the_test(hub: str) -> None:
    with pytest.raises(CannotDeploy, match="j1 is running after"):
        run(hub, "running", patience=0)


def test_tone_is_a_wav_file_of_two_seconds() -> None:
    with wave.open(io.BytesIO(tone())) as file:
        assert (file.getnframes(), file.getframerate(), file.getnchannels()) == (32_000, 16_000, 1)


def test_hub_that_does_not_answer_is_one_sentence_without_the_urls_query() -> None:
    with pytest.raises(CannotDeploy, match=r"GET 127\.0\.0\.1:9: no answer") as caught:
        call("http://127.0.0.1:9/upload?token=s3cret")
    assert "s3cret" not in str(caught.value)


def test_only_https_leaves_this_machine() -> None:
    with pytest.raises(CannotDeploy, match="is no HTTPS address"):
        call("http://example.com/upload?token=s3cret")
