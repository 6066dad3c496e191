# ruff: noqa: E722, SIM105  (bare excepts are what is tried here)
"""A call that takes too long ends, whatever it does about it; one that does not is left alone."""

import _thread
import contextlib
import gc
import signal
import subprocess
import sys
import threading
import time

import pytest

from exercise_checks.running.time_limit import TimeUp, call_within


def forever():
    while True:
        pass


def sleeper():
    time.sleep(60)


def swallower():
    while True:
        try:
            len("a")
        except:
            pass


def stubborn():
    while True:
        try:
            try:
                forever()
            except:
                pass
            finally:
                len("b")
        except BaseException:
            try:
                forever()
            except BaseException:
                pass


def twice_as_long():
    try:
        forever()
    finally:
        forever()


def recursion():
    try:
        recursion()
    except BaseException:
        recursion()


@pytest.mark.parametrize("function", [forever, sleeper, swallower, stubborn, twice_as_long, recursion])
def test_it_ends(function):
    before, depth, begun = signal.getsignal(signal.SIGINT), sys.getrecursionlimit(), time.monotonic()
    with pytest.raises(TimeUp):
        call_within(0.2, function)
    assert time.monotonic() - begun < 20
    assert signal.getsignal(signal.SIGINT) is before
    assert sys.getrecursionlimit() == depth
    assert sum(range(100_000)) == 4_999_950_000  # nothing strikes afterwards


def test_what_python_calls_by_itself_is_not_struck():
    """What is raised there goes nowhere, but to stderr."""

    def collecting(phase, info):
        pass

    gc.callbacks.append(collecting)
    try:
        test_it_ends(recursion)
    finally:
        gc.callbacks.remove(collecting)


def test_what_is_in_time_is_returned_or_raised():
    assert call_within(60, divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        call_within(60, divmod, 7, 0)


def test_at_the_last_moment_either_the_answer_or_the_end():
    ended = 0
    for _ in range(200):
        try:
            assert call_within(0.001, sum, range(20_000)) == 199_990_000
        except TimeUp:
            ended += 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert 0 <= ended <= 200


def test_ctrl_c_still_means_ctrl_c():
    def press():
        _thread.interrupt_main()
        time.sleep(1)

    with pytest.raises(KeyboardInterrupt):
        call_within(60, press)


def test_another_thread_is_left_alone():
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call_within(0.01, lambda: time.sleep(0.1) or 5)))
    thread.start()
    thread.join()
    assert answers == [5]


def ignores_the_signal():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    forever()


def until_it_is_ended():
    with contextlib.suppress(SystemExit):
        forever()


def waits_for_a_thread():
    thread = threading.Thread(target=until_it_is_ended, name="endless", daemon=True)
    thread.start()
    thread.join()


@pytest.mark.parametrize("function", [ignores_the_signal, waits_for_a_thread])
def test_it_ends_elsewhere_too(function):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(TimeUp):
        call_within(0.2, function)
    assert signal.getsignal(signal.SIGINT) is before
    deadline = time.monotonic() + 20
    while any(thread.name == "endless" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "endless" not in {thread.name for thread in threading.enumerate()}


AFTERWARDS = """
import cProfile, signal, sys
from exercise_checks.running.time_limit import TimeUp, call_within

def ignores_the_signal():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pass

assert call_within(5, max, 3, 4) == 4
try:
    call_within(0.2, ignores_the_signal)
except TimeUp:
    print("up")
print(cProfile.Profile().runcall(lambda: sum(divmod(7, 2))))
"""


def test_a_profiler_still_works_afterwards():
    run = subprocess.run([sys.executable, "-c", AFTERWARDS], capture_output=True, text=True, timeout=60)
    assert run.stdout.split() == ["up", "4"], run.stderr
