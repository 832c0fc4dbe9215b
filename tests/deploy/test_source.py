"""What is deployed, and what it is called."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy.source import current_version, source_digest, web_address


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small one, with one commit."""
    for name in ("main.py", "requirements.txt", "functions/ingest.py", "shared/job.py", "shared/media/heavy.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "First")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_version_is_the_commit_as_cloud_build_writes_it(checkout: Path) -> None:
    assert current_version(checkout) == git(checkout, "rev-parse", "HEAD")[:7]


def test_changes_that_no_commit_holds_have_versions_of_their_own(checkout: Path) -> None:
    commit = current_version(checkout)
    versions = set()
    for text in ("one", "two"):
        (checkout / "main.py").write_text(text)
        versions.add(current_version(checkout))
    assert len(versions) == 2
    assert all(version.startswith(f"{commit}-") for version in versions)


def test_without_git_the_digest_is_the_version(tmp_path: Path) -> None:
    for name in ("main.py", "requirements.txt"):
        (tmp_path / name).touch()
    assert current_version(tmp_path) == f"dev-{source_digest(tmp_path)}"


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("main.py", True),
        ("shared/job.py", True),
        ("functions/new.py", True),
        ("shared/media/heavy.py", False),
        ("docs/new.md", False),
        ("functions/__pycache__/ingest.pyc", False),
    ],
)
def test_digest_follows_what_functions_are_built_from(checkout: Path, name: str, counts: bool) -> None:
    before = source_digest(checkout)
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text("changed")
    assert (source_digest(checkout) != before) is counts


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("git@github.com:owner/nca-fanout.git", "https://github.com/owner/nca-fanout/blob/main"),
        ("https://github.com/owner/nca-fanout", "https://github.com/owner/nca-fanout/blob/main"),
        ("https://token@github.com/owner/nca-fanout.git", "https://github.com/owner/nca-fanout/blob/main"),
        ("/srv/git/nca-fanout.git", "."),
        (None, "."),
    ],
)
def test_links_lead_to_the_remote_and_carry_no_credentials(checkout: Path, remote: str | None, address: str) -> None:
    if remote:
        git(checkout, "remote", "add", "origin", remote)
    assert web_address(checkout) == address
