"""What the exit codes of the command line mean; `--help` and docs/exit_codes.md are made of it."""

from __future__ import annotations

DONE = 0
CHECK_FAILED = 1
USER_ERROR = 2
INCOMPLETE = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells say it
BROKEN_PIPE = 141  # 128 + SIGPIPE

MEANINGS = {
    DONE: "done",
    CHECK_FAILED: "`check` found a change, or `doctor` something that does not work",
    USER_ERROR: "a mistake in what was given, or the computer lacks something, such as room on a disk",
    INCOMPLETE: "`sweep` has points that cannot be simulated, or `explore` no machine within the budgets",
    INTERRUPTED: "interrupted by Control-C",
    BROKEN_PIPE: "whoever read the output has left, as `head` does",
}

_HEAD = """# Exit codes

| code | meaning |
|---:|---|
"""
_TAIL = """
With 2, 130 and 141 nothing is left half written: a file or folder that was asked for is there whole, as it was before,
or absent. The same holds where the process is killed (128 and the signal's number, as shells say it); files of such a
process that never came to be stay beside the target, under hidden names that end in `.partial`, and may be deleted.
A Control-C that comes when all is written and Python is ending ends the process by its signal, which shells call 130
too.
No other code is used.
"""


def summary() -> str:
    """One paragraph for `--help`."""
    codes = "; ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items())
    return f"Exit codes: {codes.replace('`', '')}."


def document() -> str:
    """All of docs/exit_codes.md: `python -m docs.generate`."""
    return _HEAD + "".join(f"| {code} | {meaning} |\n" for code, meaning in MEANINGS.items()) + _TAIL
