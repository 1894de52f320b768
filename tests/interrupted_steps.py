"""An action that ends, or whose disk is full, at each step of what it does with files, one after the other."""

from __future__ import annotations

import errno
import os
import sys
import warnings

DONE, REFUSED, WRONG, KILLED = 0, 20, 21, 22
MOST_STEPS = 200
# What the interpreter says before it does it: https://docs.python.org/3/library/audit_events.html
_STEPS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "ctypes.dlsym")
_TAKES_ROOM = ("os.mkdir", "open")


def _steps(stop, counted):
    """Count steps, and call `stop` at each: a hook and fsync, which has no event."""

    def hook(event, arguments):
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in counted and (event != "open" or writes):
            stop()

    sys.addaudithook(hook)
    fsync = os.fsync

    def sync(descriptor):
        stop()
        fsync(descriptor)

    os.fsync = sync


def _child(action, refusals, number, full):
    """Do it in this forked process, which ends at step `number`, or goes on without room in it."""
    left = [number]

    def stop():
        left[0] -= 1
        if left[0] == 0:
            if full:
                raise OSError(errno.ENOSPC, "No space left on device")
            os._exit(KILLED)

    _steps(stop, _TAKES_ROOM if full else ("open", *_STEPS))
    try:
        action()
    except refusals:
        os._exit(REFUSED)
    except BaseException as error:
        os.write(2, f"{error!r}\n".encode())
        os._exit(WRONG)
    os._exit(DONE)


def at_each_step(action, refusals=(), *, full=False):
    """After each step at which `action` was ended: its exit code. The last one is that of all of it."""
    for number in range(1, MOST_STEPS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # a test runner's threads do not matter to the child
            child = os.fork()
        if child == 0:
            _child(action, refusals, number, full)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        yield code
        if code == DONE:
            return
    raise AssertionError("it never ends")


def content(path):
    """What stands at a path: a file's bytes, a folder's files by name, or nothing."""
    if path.is_dir():
        return {str(each.relative_to(path)): each.read_bytes() for each in sorted(path.rglob("*")) if each.is_file()}
    return path.read_bytes() if path.exists() else None


def named(folder):
    """Names in a folder, but for what ended processes leave under hidden ones."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}
