"""The GKE stand-in, round by round: real processes, a clock of the test's own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local.autoscaler import Autoscaler, Scale
from local.processes import Child, Processes, wait_ready
from shared.errors import Unavailable
from tests.fakes.clock import FakeClock as _ProjectClock  # noqa: F401
from tests.waiting import eventually
