"""A confined process gives what its work gives, and one line of whatever else becomes of it; none is left."""

import mmap
import os
import signal
import threading
import time
from functools import partial
from multiprocessing import active_children

import pytest

from swatsim.bits import BitTensor
from swatsim.confined import Limits, confined, limits_for
from swatsim.errors import SwatsimError, TraceError

MIB = 1 << 20
LIMITS = Limits(memory_bytes=64 * MIB, seconds=1)


@pytest.fixture
def forking(forking):
    """No process is left."""
    yield
    assert not active_children()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def read(work, **options):
    return confined(work, LIMITS, where="a.x", expected="a model", **options)


def refused(work):
    with pytest.raises(TraceError) as caught:
        read(work)
    return str(caught.value)


def endless():
    while True:
        pass


def killed(number):
    os.kill(os.getpid(), number)


def failing(error):
    raise error


def noisy():
    print("what nobody sees", flush=True)
    os.write(1, b"what nobody sees\n")
    os.write(2, b"what nobody sees\n")
    return os.getpid()


@pytest.mark.usefixtures("forking")
def test_the_result_is_that_of_another_process_and_nothing_is_printed(capfd):
    assert read(noisy) != os.getpid()
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("forking")
def test_bits_come_back_once_and_can_be_computed_with():
    bits = BitTensor.from_array([1, 0, 1] * 1000)
    found, other, ones = read(lambda: (bits, bits, BitTensor.from_array([[1, 1]])))
    assert found == bits
    assert found is other
    assert found.packed.base is found.words or found.packed.base is found.words.base
    assert found.words.flags.writeable
    assert ones == BitTensor(shape=(1, 2), packed=None)


@pytest.mark.usefixtures("forking")
def test_a_result_larger_than_a_pipe():
    assert read(lambda: b"x" * (8 * MIB)) == b"x" * (8 * MIB)


@pytest.mark.usefixtures("forking")
@pytest.mark.parametrize(
    "take",
    [lambda: bytearray(2048 * MIB), lambda: [bytearray(MIB) for _ in range(1000)], partial(failing, MemoryError())],
)
def test_what_takes_too_much_memory(take):
    assert refused(take) == "a.x: got what takes more than 64 MiB to read, expected a model"


@pytest.mark.usefixtures("forking")
def test_memory_that_is_had_already_does_not_count():
    held = bytearray(100 * MIB)
    assert read(lambda: len(bytearray(30 * MIB))) == 30 * MIB
    assert len(held) == 100 * MIB


@pytest.mark.usefixtures("forking")
@pytest.mark.parametrize("work", [endless, partial(time.sleep, 60)])
def test_what_never_ends(work, monkeypatch):
    monkeypatch.setattr("swatsim.confined._WAITING", 2)
    assert refused(work) == "a.x: got what takes more than 1 s to read, expected a model"


@pytest.mark.usefixtures("forking")
@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_what_ends_the_process(name, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = f"a.x: got what ends the process that reads it ({name}), expected a model"
    assert refused(partial(killed, getattr(signal, name))) == message
    assert refused(partial(os._exit, 3)) == message.replace(name, "exit code 3")
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


class OnceTooMuch:
    """Takes too much while it is sent."""

    def __reduce__(self):
        killed(signal.SIGKILL)


@pytest.mark.usefixtures("forking")
def test_what_ends_the_process_as_it_answers():
    assert "got what ends the process that reads it (SIGKILL)" in refused(lambda: [b"x" * MIB, OnceTooMuch()])


@pytest.mark.parametrize("error", [TraceError("a: got b, expected c"), SwatsimError("d"), KeyError("a mistake")])
def test_errors_are_those_of_the_work(error):
    with pytest.raises(type(error)) as caught:
        read(partial(failing, error))
    assert str(caught.value) == str(error)


@pytest.mark.usefixtures("forking")
def test_what_the_process_does_first():
    place = mmap.mmap(-1, 1)
    assert read(lambda: place[0], begin=lambda: place.write(b"\x07")) == 7


@pytest.fixture
def sigint():
    """Control-C as a terminal has it: what a script starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("forking", "sigint")
def test_an_interrupt_ends_the_process():
    """Control-C reaches both; the process ignores it, and is ended."""
    pids = mmap.mmap(-1, 8)

    def work():
        pids[:] = os.getpid().to_bytes(8, "little")
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        read(work)
    pid = int.from_bytes(pids[:], "little")
    assert pid not in (0, os.getpid())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_beside_other_threads_work_is_done_here():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert read(os.getpid) == os.getpid()
        assert (
            refused(partial(failing, MemoryError()))
            == "a.x: got what takes more memory than there is, expected a model"
        )
    finally:
        stop.set()
        thread.join()


def test_large_files_may_take_more():
    assert limits_for(0, small=LIMITS, copies=3) == LIMITS
    assert limits_for(100 * MIB, small=LIMITS, copies=3) == Limits(memory_bytes=364 * MIB, seconds=26)
