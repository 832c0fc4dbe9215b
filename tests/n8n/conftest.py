"""One local cloud and one real n8n, each with the other's address and secrets in its settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local.assets import Assets, ensure_assets
from local.cloud import local_cloud
from local.ports import LOOPBACK, Ports
from local.profile import Profile
from tests.fakes.loopback import receiving
from tests.media import make_audio, make_video, truncate
from tests.n8n.install import is_installed
from tests.n8n.server import running
from tests.n8n.stage import ALERT_TOKEN, ALERTS, IMPATIENT, SUBMIT, SUBMIT_TOKEN, TRIED, Stage
from tests.n8n.workflows import filled, node
from tests.unit.http_server import answer, local_server


@pytest.fixture(scope="session", params=["in-process", "task-runners"])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Twice: Code nodes run in n8n's own process, its default so far, and in task runners, as on n8n cloud."""
    if not is_installed():
        pytest.skip("n8n is not installed: python -m tests.n8n.install")
    assets = ensure_assets()
    media = _media(assets, tmp_path_factory.mktemp("media"))
    with ExitStack() as stack:
        port = stack.enter_context(Ports()).take()
        channel, pager, fallback = (
            stack.enter_context(receiving(path)) for path in ("/channel", "/pager", "/fallback")
        )
        server = stack.enter_context(local_server())
        server.replies["/tried.wav"] = answer(200, (media / "short.wav").read_bytes())
        alert_url = f"http://{LOOPBACK}:{port}/webhook/nca-alerts?token={ALERT_TOKEN}"
        profile = Profile(model=assets.model, extra={"N8N_ALERT_URL": alert_url, "SLACK_WEBHOOK_URL": fallback.url})
        cloud = stack.enter_context(local_cloud(profile))
        n8n = stack.enter_context(
            running(
                [
                    filled(ALERTS, token=ALERT_TOKEN, channel_url=channel.url, critical_url=pager.url),
                    *_submitting(cloud.url, profile, server.url("/tried.wav")),
                ],
                tmp_path_factory.mktemp("n8n"),
                port=port,
                runners=request.param == "task-runners",
            )
        )
        yield Stage(cloud, n8n, channel, pager, fallback, media, server)


def _media(assets: Assets, folder: Path) -> Path:
    make_audio(folder / "short.wav", speech=assets.speech, seconds=4)
    make_video(folder / "whole.mp4", seconds=20, speech=assets.speech)
    truncate(folder / "whole.mp4", 0.5).rename(folder / "cut.mp4")
    return folder


def _submitting(hub_url: str, profile: Profile, source: str) -> list[dict[str, Any]]:
    """The second workflow, as it is when the webhook does not come in time, and with a source to try it on."""
    settings = {
        "hub_url": hub_url,
        "api_key": profile.api_key,
        "webhook_secret": profile.webhook_secret,
        "token": SUBMIT_TOKEN,
    }
    usual, impatient = filled(SUBMIT, **settings), filled(SUBMIT, as_id=IMPATIENT, **settings)
    node(impatient, "Wait for the hub's webhook")["parameters"] |= {"resumeAmount": 1, "resumeUnit": "seconds"}
    for each in (usual, impatient):
        node(each, "Pause")["parameters"]["amount"] = 1
    return [usual, impatient, filled(SUBMIT, as_id=TRIED, **settings, source=source)]
