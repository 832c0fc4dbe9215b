"""Options that every command has."""

from __future__ import annotations

from typing import Annotated

import typer

Url = Annotated[str | None, typer.Option("--url", help="The hub's address; also HUB_URL.")]
Key = Annotated[str | None, typer.Option("--key", help="The API key; HUB_API_KEY keeps it out of `ps`.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
