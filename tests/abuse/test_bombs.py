"""A small file that claims to be huge ends in one clear error, or in a small record; never in a bug of ours."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from shared.errors import ProcessingFailed
from shared.fetch import GuardedClient
from shared.media.container import MOST_PIXELS
from shared.media.limits import DecodeLimits
from shared.media.media_file import MediaFile
from shared.media.process import MediaProcessor
from shared.operations import Contact, Fingerprint, Loudness, Operation, Probe, Thumbnails, Waveform
from shared.processor import Result
from tests.abuse import bombs
from tests.unit.guarded import LOCAL
from tests.unit.http_server import answer, local_server

SEEING: tuple[Operation, ...] = (Probe(), Thumbnails(), Fingerprint())
HEARING: tuple[Operation, ...] = (Probe(), Waveform(), Loudness())
#: Most that a record may hold of what a file says.
MOST_BYTES = 4 * 2**20


@pytest.fixture(scope="module")
def processor() -> MediaProcessor:
    return MediaProcessor(model="none", limits=DecodeLimits(cpu_seconds=60))


Process = Callable[..., Result]
#: A file's bytes, which some are millions of: only for the test that wants them.
Made = Callable[[], bytes]


@pytest.fixture
def process(processor: MediaProcessor, tmp_path: Path) -> Process:
    def run(content: bytes, *operations: Operation) -> Result:
        source, out = tmp_path / "film.mp4", tmp_path / "out"
        source.write_bytes(content)
        out.mkdir()
        return processor.process(source, operations, out, explicit=True, report=lambda stage, percent: None)

    return run


@pytest.mark.parametrize(
    ("made", "operations", "code"),
    [
        (partial(bombs.png, 65_535, 65_535), SEEING, "undecodable"),
        (partial(bombs.png, 16_000, 16_000), SEEING, "too_many_pixels"),
        (partial(bombs.gif, 65_535, 65_535), SEEING, "undecodable"),
        (partial(bombs.gif, 16_000, 16_000), SEEING, "too_many_pixels"),
        (partial(bombs.mov, width=65_535, height=65_535), SEEING, "undecodable"),
        (partial(bombs.mov, width=32_000, height=8_000), SEEING, "too_many_pixels"),
        (partial(bombs.mov, width=0, height=0), SEEING, "undecodable"),
        (partial(bombs.mov, codec=b"zzzz"), SEEING, "no_video_stream"),
        # A million, 439 MB of them, end in the same place.
        (partial(bombs.mov, tracks=100_000), SEEING, "decoder_memory"),
        (partial(bombs.nested_mov, 20_000), SEEING, "undecodable"),
        (partial(bombs.empty_boxes, 100_000), SEEING, "undecodable"),
        (partial(bombs.mkv, depth=20_000), (Probe(), Loudness()), "no_audio_stream"),
        (partial(bombs.wav, 2**32 - 1, 2), HEARING, "undecodable"),
        (partial(bombs.wav, 0, 2), HEARING, "undecodable"),
        (partial(bombs.wav, 8000, 65_535), HEARING, "undecodable"),
        (partial(bombs.wav, 1, 1), HEARING, "undecodable"),
        (partial(bombs.au, 2**31 - 1, 60_000), HEARING, "undecodable"),
    ],
    ids=["png", "large png", "gif", "large gif", "mov", "wide mov", "no pixels", "unknown codec", "tracks",
         "nested boxes", "empty boxes", "nested chapters", "rate", "no rate", "channels", "slow", "au"],
)  # fmt: skip
def test_a_claim_that_cannot_be_met_is_one_clear_error(
    made: Made, operations: tuple[Operation, ...], code: str, process: Process
) -> None:
    with pytest.raises(ProcessingFailed) as caught:
        process(made(), *operations)
    assert caught.value.reason_code == code
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("made", "operation"),
    [
        (partial(bombs.mov, title=20_000_000), Thumbnails()),
        (partial(bombs.mov, tracks=900), Thumbnails()),
        (partial(bombs.mov, tracks=2, codec=b"zzzz"), Contact()),
        (partial(bombs.mkv, tracks=30, language=1_000_000), Probe()),
        (partial(bombs.mkv, chapters=50_000), Probe()),
        (partial(bombs.mkv, tracks=2000), Probe()),
        (partial(bombs.mkv, attachments=2000), Probe()),
        (partial(bombs.id3, 70_000_000), Loudness()),
    ],
    ids=["title", "tracks", "unknown codecs", "languages", "chapters", "more tracks", "attachments", "id3"],
)
def test_what_a_file_says_of_itself_fits_its_record(made: Made, operation: Operation, process: Process) -> None:
    operations = {each.name: each for each in (Probe(), operation)}
    result = process(made(), *operations.values())
    assert len(json.dumps(result.summary)) < MOST_BYTES


def test_what_was_cut_is_said(process: Process) -> None:
    result = process(bombs.mov(title=20_000), Probe())
    assert result.summary["probe"]["tags_cut"] is True
    assert result.summary["probe"]["tags"]["title"].endswith("A…")


def test_a_stream_may_not_outgrow_the_limit_later(tmp_path: Path) -> None:
    source = tmp_path / "film.mov"
    source.write_bytes(bombs.mov())
    with MediaFile(source) as media:
        (video,) = media.headers.streams.video
        assert video.codec_context.options["max_pixels"] == str(MOST_PIXELS)


def test_compression_on_the_way_is_never_undone(tmp_path: Path) -> None:
    """A server may say that its answer is compressed; what arrives is kept as it is, and is no media."""
    bomb = gzip.compress(bytes(9_000_000), 1)
    with local_server() as server:
        server.replies["/film.mp4"] = answer(body=bomb, content_encoding="gzip", content_type="video/mp4")
        client = GuardedClient(LOCAL)
        assert client.peek(server.url("/film.mp4"), limit_bytes=64, timeout_seconds=5).first_bytes == bomb[:64]
        assert client.download(server.url("/film.mp4"), tmp_path / "film").size == len(bomb)
