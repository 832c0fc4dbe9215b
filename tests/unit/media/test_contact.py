"""contact.html, opened in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from local.assets import Assets
from shared.errors import ProcessingFailed
from shared.media import contact
from shared.media.artifacts import ArtifactFolder
from shared.media.facts import look
from shared.media.media_file import MediaFile
from shared.media.one_pass import decode_once
from shared.media.preview import Film, Preview
from shared.media.process import MediaProcessor
from shared.operations import BY_NAME, Contact, Loudness
from tests.browser import Opened, chromium, opened, until
from tests.media import make_audio, make_video, picture
from tests.unit.media.conftest import Run

#: Words, titles and captions are anybody's: none of these may become more than text.
HOSTILE = [
    "</script><script>document.title='broken'</script>",
    "<img src=x onerror=alert(1)>",
    "<!--<script>",
    "{{film}}",
]
SECONDS = 12.0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def film(assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return make_video(path, seconds=SECONDS, size=(320, 180), fps=10, speech=assets.speech)


@pytest.fixture(scope="module")
def contact_page(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a film with a transcript and shots made up, and hostile text in every place that takes text."""
    done, out = tmp_path_factory.mktemp("done"), tmp_path_factory.mktemp("page")
    MediaProcessor(model="none").process(film, [Contact()], done, explicit=True, report=lambda stage, percent: None)
    folder = ArtifactFolder(out)
    probe = json.loads((done / "probe.json").read_text())
    folder.write_json("probe.json", {**probe, "tags": {"title": HOSTILE[0]}, "container_long_name": HOSTILE[1]})
    for name in ("storyboard.jpg", "storyboard.vtt", "waveform.json"):
        folder.write_bytes(name, (done / name).read_bytes(), "")
    folder.write_json("shots.json", {"shots": [{"start": n * 2.0, "end": n * 2.0 + 2} for n in range(6)]})
    folder.write_json("transcript.json", _transcript())
    folder.write_text("transcript.vtt", f"WEBVTT\n\n00:00:02.000 --> 00:00:04.000\n{HOSTILE[3]}\n", "")
    contact.write(_copy(film), folder)
    return out / "contact.html"


@pytest.fixture
def seen(browser: Browser, contact_page: Path) -> Iterator[Opened]:
    with opened(browser, contact_page) as page:
        yield page
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith(("blob:", "data:"))] == [contact_page.as_uri()]


def _transcript() -> dict[str, Any]:
    def segment(start: float, words: list[str]) -> dict[str, Any]:
        rows = [{"word": word, "start": start + n / 4, "end": start + n / 4 + 0.2} for n, word in enumerate(words)]
        return {"start": start, "end": start + 2, "text": " ".join(words), "words": rows}

    parts = [segment(1.0, ["One", "two", "three."]), segment(5.0, HOSTILE), segment(8.0, ["Four", "five."])]
    return {"language": "de", "task": "translate", "segments": parts}


def _copy(source: Path, *, as_if_seconds: float = SECONDS) -> Film | None:
    with MediaFile(source) as media:
        preview = Preview.of(look(media), as_if_seconds)
        if preview is None:
            return None
        decode_once(media, {None: preview.hearing}, {None: preview.seeing}, lambda fraction: None)
        return preview.film()


def _position(page: Page) -> float:
    position: float = page.evaluate("player.currentTime")
    return position


def _ready(page: Page) -> None:
    until(page, "player.readyState >= 2")


def test_the_film_plays_with_pictures_and_captions(seen: Opened) -> None:
    page = seen.page
    _ready(page)
    assert page.evaluate("player.duration") == pytest.approx(SECONDS, abs=0.3)
    assert page.evaluate("[player.videoWidth, player.videoHeight]") == [320, 180]
    until(page, "player.textTracks[0].cues?.length === 1")
    assert page.evaluate("player.textTracks[0].cues[0].text") == HOSTILE[3]
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "player.currentTime > 0.5")
    page.get_by_role("button", name="Pause").click()
    assert page.evaluate("player.paused")


@pytest.mark.parametrize("kind", ["word", "shot", "segment", "timeline"])
def test_a_click_seeks(kind: str, seen: Opened) -> None:
    page = seen.page
    _ready(page)
    targets = {
        "word": (page.locator(".word", has_text="five."), 8.25),
        "shot": (page.locator("#shots button").nth(3), 6.0),
        "segment": (page.locator("#transcript button").nth(1), 5.0),
        "timeline": (page.get_by_role("slider", name="Position"), SECONDS / 2),
    }
    target, moment = targets[kind]
    target.click()
    until(page, "wanted === null && !player.seeking")
    assert _position(page) == pytest.approx(moment, abs=0.02)
    assert float(page.locator("#timeline").get_attribute("aria-valuenow") or "") == pytest.approx(moment, abs=0.06)
    expect(page.locator("#shots [aria-current]")).to_have_count(1)
    if kind == "word":
        assert page.locator(".word.now").all_text_contents() == ["five."]


def test_keys_play_and_seek(seen: Opened) -> None:
    page = seen.page
    _ready(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    until(page, "wanted === null && !player.seeking")
    assert _position(page) == pytest.approx(5.0, abs=0.02)
    page.keyboard.press(" ")
    until(page, "!player.paused && player.currentTime > 5.2")
    page.keyboard.press("k")
    page.locator("#timeline").press("End")
    until(page, "player.currentTime > 11.5")


def test_the_timeline_shows_the_storyboard_under_the_pointer(seen: Opened) -> None:
    page = seen.page
    box = page.locator("#timeline").bounding_box()
    assert box is not None
    expect(page.locator("#peek")).to_be_hidden()
    places = []
    for share in (0.1, 0.8):
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + 20)
        expect(page.locator("#peek")).to_be_visible()
        places.append(page.locator("#peek .tile").evaluate("it => getComputedStyle(it).backgroundPosition"))
    assert page.locator("#peek span").text_content() == "0:09"
    assert places[0] != places[1]
    assert page.locator("#peek .tile").evaluate("it => getComputedStyle(it).backgroundImage").startswith('url("blob:')


def test_what_people_wrote_stays_text(seen: Opened) -> None:
    page = seen.page
    assert page.locator("h1").text_content() == page.title() == HOSTILE[0]
    assert page.locator(".word").all_text_contents() == ["One", "two", "three.", *HOSTILE, "Four", "five."]
    assert page.locator(".said").nth(1).text_content() == " ".join(HOSTILE)
    expect(page.locator("#transcript-part h2")).to_have_text("Transcript English, from German")
    expect(page.locator("img")).to_have_count(0)
    expect(page.locator("script")).to_have_count(3)
    expect(page.locator("#facts")).to_contain_text(HOSTILE[1])


def test_the_policy_lets_nothing_in_that_the_page_did_not_bring(browser: Browser, contact_page: Path) -> None:
    with opened(browser, contact_page) as seen:
        seen.page.evaluate(
            """async () => {
              document.body.append(Object.assign(document.createElement("script"), { textContent: "window.ran = 1" }));
              document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:9/x.png" }));
              await fetch("http://127.0.0.1:9/").catch(() => {});
            }"""
        )
        assert seen.page.evaluate("window.ran") is None
        for directive in ("script-src 'sha256-", "img-src blob:", "default-src 'none'"):
            assert any(
                "following Content Security Policy directive" in text and directive in text for text in seen.complaints
            )


def test_the_original_file_plays_from_the_viewers_disk(seen: Opened, film: Path, tmp_path: Path) -> None:
    page = seen.page
    _ready(page)
    page.locator("#shots button").nth(2).click()
    original = make_video(tmp_path / "original.mp4", seconds=SECONDS, size=(480, 270), fps=10)
    page.locator("#original").set_input_files(original)
    until(page, "player.videoWidth === 480 && wanted === null && !player.seeking")
    assert _position(page) == pytest.approx(4.0, abs=0.02)
    expect(page.locator("#note")).to_contain_text("original")
    text = tmp_path / "text.mp4"
    text.write_text("no film")
    page.locator("#original").set_input_files(text)
    expect(page.locator("#note")).to_have_text("This browser cannot play that file.")
    assert page.evaluate("player.videoWidth") == 320


@pytest.mark.parametrize(("width", "dark"), [(360, False), (768, True)])
def test_it_fits_a_small_screen_and_a_dark_one(browser: Browser, contact_page: Path, width: int, dark: bool) -> None:
    with opened(browser, contact_page, width=width, dark=dark) as seen:
        page = seen.page
        _ready(page)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", ground))) < 64) is dark
        for button in page.get_by_role("button").all():
            box = button.bounding_box()
            assert box is None or box["height"] >= 28


def test_a_recording_without_pictures_has_a_page_with_its_sound(
    run: Run, speech: Path, tmp_path: Path, out: Path, browser: Browser
) -> None:
    result = run(make_audio(tmp_path / "talk.mp3", speech=speech, seconds=6), Contact(), Loudness())
    assert list(result.summary) == ["loudness", "probe", "waveform", "contact"]
    assert result.summary["contact"]["preview"] == "audio/webm"
    with opened(browser, out / "contact.html") as seen:
        _ready(seen.page)
        assert seen.page.evaluate("player.duration") == pytest.approx(6, abs=0.2)
        expect(seen.page.locator("#stage")).to_be_hidden()
        expect(seen.page.locator("#shots-part")).to_be_hidden()
        expect(seen.page.locator("#facts")).to_contain_text("LUFS")
        assert seen.complaints == []


def test_a_film_without_sound_has_a_page_with_its_pictures(
    run: Run, tmp_path: Path, out: Path, browser: Browser
) -> None:
    result = run(make_video(tmp_path / "mute.webm", seconds=3, fps=10, codec="libvpx"), Contact())
    assert list(result.summary) == ["probe", "shots", "storyboard", "contact"]
    assert {made.name for made in result.artifacts} >= {"probe.json", "shots.json", "storyboard.jpg", "contact.html"}
    with opened(browser, out / "contact.html") as seen:
        _ready(seen.page)
        assert seen.page.evaluate("player.duration") == pytest.approx(3, abs=0.3)
        assert seen.complaints == []


@pytest.mark.parametrize(("seconds", "note"), [(3600, "still pictures"), (20_000, "No preview")])
def test_a_long_film_has_its_storyboard_for_a_picture(
    seconds: float, note: str, film: Path, contact_page: Path, tmp_path: Path, browser: Browser
) -> None:
    folder = ArtifactFolder(tmp_path)
    for made in sorted(contact_page.parent.glob("[!c]*")):
        folder.write_bytes(made.name, made.read_bytes(), "")
    contact.write(_copy(film, as_if_seconds=seconds), folder)
    with opened(browser, tmp_path / "contact.html") as seen:
        page = seen.page
        expect(page.locator("#note")).to_contain_text(note)
        expect(page.locator("#still")).to_be_visible()
        first = page.locator("#still").evaluate("it => it.style.backgroundPosition")
        page.locator("#shots button").nth(4).click()
        expect(page.locator("#clock")).to_contain_text("0:08")
        assert page.locator("#still").evaluate("it => it.style.backgroundPosition") != first
        assert seen.complaints == []


def test_a_picture_has_no_page(run: Run, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(picture((64, 36), 0.5)).save(tmp_path / "picture.png")
    with pytest.raises(ProcessingFailed, match="a picture, not a video"):
        run(tmp_path / "picture.png", Contact())


def test_a_page_shows_what_was_said(run: Run, film: Path, out: Path, browser: Browser) -> None:
    run(film, Contact(), BY_NAME["transcribe"]())
    said = json.loads((out / "transcript.json").read_text())["segments"]
    with opened(browser, out / "contact.html") as seen:
        expect(seen.page.locator(".word")).to_have_count(sum(len(segment["words"]) for segment in said))
        assert seen.page.locator(".said").all_text_contents() == [segment["text"] for segment in said]
        until(seen.page, "player.textTracks[0].cues?.length > 0")
        assert seen.complaints == []
