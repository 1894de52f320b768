"""Runs the command line as a user does, in a process of its own."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from swatsim.cli import main

PROGRAM = Path(sysconfig.get_path("scripts")) / ("swatsim.exe" if sys.platform == "win32" else "swatsim")


def environment(**changes):
    """This one without what would change how things are drawn; None removes a variable."""
    found = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    }
    found |= {"TERM": "xterm-256color", **changes}
    return {name: value for name, value in found.items() if value is not None}


def swatsim(*arguments, **options):
    """The finished process; standard output as bytes, standard error as text."""
    given = {"stdin": subprocess.DEVNULL, "capture_output": True, "env": environment(), "timeout": 300}
    result = subprocess.run([PROGRAM, *map(str, arguments)], check=False, **given | options)
    result.stderr = (result.stderr or b"").decode()
    assert "Traceback" not in result.stderr, result.stderr
    return result


def in_process(capsys, *arguments):
    """(exit code, standard output, standard error) of a call in this process."""
    code = 0
    try:
        main(list(map(str, arguments)))
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def refused_in_one_line(capsys, *arguments):
    """The message of a call that is refused, below the usage if that is said; no name breaks it or the terminal."""
    code, out, err = in_process(capsys, *arguments)
    assert (code, out) == (2, ""), (code, out, err)
    *usage, message, end = err.split("\n")
    assert end == ""
    assert not usage or usage[0].startswith("Usage: swatsim ")
    assert len(usage) in (0, 3), err
    assert err.replace("\n", "").isprintable(), err
    assert len(message) <= 2000
    return message


def on_terminal(*arguments, env=None, stdout_too=True, limit_seconds=300):
    """(what a pseudo-terminal shows, standard output where that is another, exit code)."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, *map(str, arguments)], env=env or environment(), stdin=subprocess.DEVNULL,
        stdout=terminal if stdout_too else subprocess.PIPE, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    shown, deadline = b"", time.monotonic() + limit_seconds
    try:
        while time.monotonic() < deadline:
            if select.select([controller], [], [], 1.0)[0]:
                try:
                    part = os.read(controller, 65536)
                except OSError:  # Linux's way to say that the other end is closed
                    break
                if not part:
                    break
                shown += part
        output = process.stdout.read() if process.stdout else b""
        return shown.decode(), output.decode(), process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
        os.close(controller)
        if process.stdout:
            process.stdout.close()
