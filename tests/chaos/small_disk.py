"""A disk of a few kilobytes, for one worker alone: what it writes beyond that meets a real ENOSPC.

A tmpfs in a mount namespace of the worker's own, which ends with it: nobody else sees it, and nothing of it is left.
Root may make one; anybody else where the kernel lets users have namespaces.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

#: linux/sched.h and linux/mount.h
_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_PRIVATE_ALL: Final = (1 << 18) | 0x4000

_libc = ctypes.CDLL(None, use_errno=True)


def have(size: int, *, is_looked_at: bool = True) -> None:
    """From now on this process's temporary files lie on a disk of `size` bytes.

    Unless it `is_looked_at`, it seems to have room: a neighbour takes that between the look and the writing.
    """
    folder = Path(os.environ["TMPDIR"]) / "small-disk"
    folder.mkdir(exist_ok=True)
    _leave_namespace()
    _checked(_libc.mount(None, b"/", None, _PRIVATE_ALL, None))
    _checked(_libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, f"size={size}".encode()))
    tempfile.tempdir = str(folder)
    if not is_looked_at:
        roomy = shutil.disk_usage("/")
        shutil.disk_usage = lambda path: roomy  # type: ignore[assignment]


def _leave_namespace() -> None:
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(_NEWNS) == 0:
        return
    _checked(_libc.unshare(_NEWUSER | _NEWNS))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path("/proc/self", name).write_text(text)


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "a small disk")
