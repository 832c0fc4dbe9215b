"""What the repository may hold."""

from __future__ import annotations

import re
from pathlib import Path

from tests.wiring.tree import ROOT, files, python_files

MAX_LINES = 300
MAX_BYTES = 1_000_000
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "manager", "managers", "core", "common", "misc", "base"}
CODE = {".py", ".sh"}
BINARY = {".wav", ".mp3", ".mp4", ".png", ".jpg", ".gif", ".flac", ".ico", ".woff2"}
#: Put together here, so that this file does not hold what it forbids.
MACHINE = re.compile("|".join(["/" + "work/", "/" + "tmp/w/", "/" + "opt/", "/" + "root/", "/" + "home/[a-z]"]))
_REGISTRIES = ("python" + "hosted", "pypi" + r"\.org", "npm" + r"js\.", "(?<!emit-)(index-url|find-links)=")
REGISTRY = re.compile("|".join(_REGISTRIES))


def texts() -> list[tuple[Path, str]]:
    return [(file, (ROOT / file).read_text()) for file in files() if file.suffix not in BINARY]


def test_git_sees_the_code() -> None:
    assert {Path("main.py"), Path("functions/ingest.py"), Path("shared/job.py")} <= set(files())


def test_no_file_of_code_is_longer_than_one_idea_needs() -> None:
    lines = {str(file): text.count("\n") for file, text in texts() if file.suffix in CODE}
    assert {file: number for file, number in lines.items() if number > MAX_LINES} == {}


def test_no_name_that_says_nothing() -> None:
    assert [str(file) for file in files() if EMPTY_NAMES & set(Path(file.with_suffix("")).parts)] == []


def test_no_path_of_one_machine_and_no_registry_host() -> None:
    found = {
        f"{file}:{number}": line.strip()
        for file, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE.search(line) or REGISTRY.search(line)
    }
    assert found == {}


def test_no_large_file() -> None:
    assert [str(file) for file in files() if (ROOT / file).stat().st_size > MAX_BYTES] == []


def test_every_text_ends_with_a_newline_and_holds_no_carriage_return() -> None:
    assert [str(file) for file, text in texts() if text and (not text.endswith("\n") or "\r" in text)] == []


def test_what_ruffs_security_rules_found_and_is_passed_over_has_its_reason() -> None:
    """But for S101: an assertion that tells mypy what the lines before have made sure of."""
    found = {
        f"{file}:{number}": line.strip()
        for file in python_files()
        for number, line in enumerate((ROOT / file).read_text().splitlines(), 1)
        if re.search(r"# noqa: (?!S101)S\d+\s*$", line)
    }
    assert found == {}


def test_python_defers_annotations() -> None:
    lacking = [
        str(file)
        for file in python_files()
        if (text := (ROOT / file).read_text()).strip()
        and ("def " in text or "class " in text)
        and "from __future__ import annotations" not in text
    ]
    assert lacking == []


def test_functions_requirements_hold_no_heavy_library() -> None:
    """The root list is what every function's build installs; one without a version would drift between builds."""
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    pins = [
        re.match(r"([A-Za-z0-9._-]+)(\[[^\]]*\])?==\S+", line) for line in lines if line and not line.startswith("-")
    ]
    assert pins
    assert None not in pins
    names = {pin[1].lower().replace("_", "-") for pin in pins if pin}
    assert {"functions-framework", "pydantic", "google-cloud-storage"} <= names
    assert names & {"torch", "av", "faster-whisper", "ctranslate2", "pillow", "numpy", "onnxruntime"} == set()


def test_workers_build_upon_the_functions_list() -> None:
    for worker in ("cpu", "gpu"):
        first = (ROOT / "workers" / worker / "requirements.txt").read_text().splitlines()[0]
        assert first == "-r ../../requirements.txt"
