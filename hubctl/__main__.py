"""`python -m hubctl`."""

from __future__ import annotations

from hubctl.cli import app

app(prog_name="hubctl")
