"""A file that names other files or addresses makes nobody open them, whatever its own name is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import av
import pytest
from av import FFmpegError

from shared.errors import PermanentError
from shared.media.process import MediaProcessor
from shared.operations import Fingerprint, Probe, Thumbnails
from tests.abuse.baits import BAITS
from tests.abuse.tripwire import Tripwire, tripwire
from tests.media import make_tone_wav

#: All that a reader without rules would allow.
CARELESS = {
    "protocol_whitelist": "file,http,tcp,crypto,data,concat,subfile,rtp,udp",
    "allowed_extensions": "ALL",
    "allowed_segment_extensions": "ALL",
    "extension_picky": "0",
    "safe": "0",
    "enable_drefs": "1",
    "use_absolute_path": "1",
}
#: What libav itself would follow here; the rest is what other builds, versions and players follow.
FOLLOWED = ("hls", "hls_master", "hls_key", "concat", "concat_protocol", "subfile", "mov_alias")
#: Films whose samples are then looked for in themselves: noise, if anything.
OWN_BYTES = ("mov_alias", "mov_url")


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Tripwire]:
    folder = tmp_path / "secrets"
    folder.mkdir()
    make_tone_wav(folder / "bait.wav")
    with tripwire(folder) as up:
        yield up


@pytest.fixture(scope="module")
def processor() -> MediaProcessor:
    return MediaProcessor(model="none")


def process(processor: MediaProcessor, source: Path, out: Path) -> None:
    out.mkdir(exist_ok=True)
    operations = (Probe(), Fingerprint(), Thumbnails())
    processor.process(source, operations, out, explicit=False, report=lambda stage, percent: None)


def places(wire: Tripwire) -> tuple[str, ...]:
    path = str(wire.files / "bait.wav")
    return path, f"file://{path}", wire.url


@pytest.mark.parametrize("name", BAITS)
def test_nothing_that_a_file_names_is_opened(
    name: str, wire: Tripwire, processor: MediaProcessor, tmp_path: Path
) -> None:
    for number, place in enumerate(places(wire)):
        for suffix in (".mp4", ".m3u8", ".mov"):
            source = tmp_path / f"film{number}{suffix}"
            source.write_bytes(BAITS[name](place))
            with nullcontext() if name in OWN_BYTES else pytest.raises(PermanentError):
                process(processor, source, tmp_path / "out")
            assert wire.touched() == []


@pytest.mark.parametrize("name", FOLLOWED)
def test_the_bait_is_taken_by_whoever_reads_without_rules(name: str, wire: Tripwire, tmp_path: Path) -> None:
    source = tmp_path / "film.m3u8"  # libav looks for playlists in what is called one
    source.write_bytes(BAITS[name](str(wire.files / "bait.wav")))
    with suppress(FFmpegError):
        av.open(str(source), options=CARELESS, timeout=5).close()
    assert "bait.wav" in wire.touched()


def test_a_socket_would_be_noticed(wire: Tripwire, tmp_path: Path) -> None:
    source = tmp_path / "film.m3u8"
    source.write_bytes(BAITS["hls"](wire.url))
    # Its time may be over before it connects; who hangs up is not there.
    for seconds in (1, 5, 30):
        with pytest.raises(FFmpegError):
            av.open(str(source), options=CARELESS, timeout=seconds)
        if touched := wire.touched():
            break
    assert "socket" in touched


@pytest.mark.parametrize(
    "name",
    [
        "bait%03d.wav",
        "bait*.wav",
        "concat:bait.wav|bait.wav",
        "subfile,,start,0,end,64,,:bait.wav",
        "file:bait.wav",
        "pipe:0",
        "async:cache:bait.wav",
        "-i bait.wav",
        "film.m3u8",
        "film.sdp",
        "film.ffconcat",
        "film\nfile 'bait.wav'.wav",
    ],
)
def test_a_files_own_name_means_nothing(
    name: str, wire: Tripwire, processor: MediaProcessor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (wire.files / "bait001.wav").write_bytes(b"another")
    source = make_tone_wav(tmp_path / "tone.wav").rename(wire.files / name)
    monkeypatch.chdir(wire.files)
    wire.touched()
    process(processor, source, tmp_path / "out")
    assert set(wire.touched()) == {name}
