"""Secrets: made empty, given versions, pinned by functions: a new version is a new revision, an old one a way back."""

from __future__ import annotations

from deploy.command import Command, SecretValue
from deploy.live import Live
from deploy.secret_values import read_secret
from deploy.target import Target


def new_values(target: Target, live: Live) -> dict[str, SecretValue]:
    """Setting → its next value: a file that says something new, or a required one that has none yet."""
    found = {}
    for setting, secret in target.resources.secrets.items():
        file = target.secrets_dir / setting if target.secrets_dir else None
        if file is not None and file.is_file():
            if live.secret_texts.get(setting) != read_secret(file):
                found[setting] = SecretValue(setting, file)
        elif not secret.optional and live.enabled_version(secret.name) is None:
            found[setting] = SecretValue(setting, None)
    return found


def versions(target: Target, live: Live) -> dict[str, str]:
    """Setting → the version that functions are given; a secret without one is left out."""
    coming = new_values(target, live)
    found = {}
    for setting, secret in target.resources.secrets.items():
        number = live.next_version(secret.name) if setting in coming else live.enabled_version(secret.name)
        if number is not None:
            found[setting] = str(number)
    return found


def create(target: Target, live: Live) -> list[Command]:
    """Empty secrets, labelled."""
    known = live.of("secrets")
    commands = []
    for secret in target.resources.secrets.values():
        if secret.name not in known:
            commands.append(
                target.gcloud("secrets", "create", secret.name, replication_policy="automatic", labels=target.labels)
            )
        elif not live.has_labels("secrets", secret.name, target.labels):
            commands.append(target.gcloud("secrets", "update", secret.name, update_labels=target.labels))
    return commands


def fill(target: Target, live: Live) -> list[Command]:
    return [
        target.gcloud("secrets", "versions", "add", target.resources.secrets[setting].name, data_file="-", secret=value)
        for setting, value in new_values(target, live).items()
    ]
