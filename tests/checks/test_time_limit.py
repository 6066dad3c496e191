# ruff: noqa: E722, SIM105  (bare excepts are what is tried here)
"""A call that takes too long ends, whatever it does about it, and its line is named; other calls are left alone."""

import _thread
import contextlib
import faulthandler
import gc
import linecache
import signal
import subprocess
import sys
import sysconfig
import threading
import time

import pytest

from exercise_checks.running import child, observing
from exercise_checks.running.observing import Case, FailureKind


def within(seconds, function, *args):
    [seen] = child.observe("call", lambda *_: function(*args), [Case("one")], seconds)
    return seen


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


def ignores_the_signal():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    forever()


def does_not_listen():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    faulthandler.cancel_dump_traceback_later()
    forever()


def until_it_is_ended():
    with contextlib.suppress(SystemExit):
        forever()


def waits_for_a_thread():
    thread = threading.Thread(target=until_it_is_ended, name="endless", daemon=True)
    thread.start()
    thread.join()


def computes():
    return 7 ** (7**12)


def prints():
    while True:
        print("again")


HANGING = [
    (prints, "while True:|print"),
    (forever, "while True:|pass"),
    (sleeper, "time.sleep(60)"),
    (swallower, "while True:|try:|len(|except:|pass"),
    (stubborn, "while True:|pass"),
    (twice_as_long, "while True:|pass"),
    (recursion, "recursion()|try:|except"),
    (ignores_the_signal, "while True:|pass"),
    (does_not_listen, ""),
    (waits_for_a_thread, "thread.join()"),
    (computes, "return 7 ** (7**12)"),
]


@pytest.mark.parametrize(("function", "lines"), HANGING, ids=lambda value: getattr(value, "__name__", ""))
def test_it_ends_and_its_line_is_named(way, function, lines):
    within(60, max, 3, 4)  # a second Python needs some seconds to start
    before, depth, begun = signal.getsignal(signal.SIGINT), sys.getrecursionlimit(), time.monotonic()
    seen = within(0.2, function)
    assert time.monotonic() - begun < 20
    assert (seen.failure.kind, seen.failure.words) == (FailureKind.TIME_UP, "0.2")
    assert any(line in seen.failure.line for line in lines.split("|")), seen.failure.line
    assert signal.getsignal(signal.SIGINT) is before
    assert sys.getrecursionlimit() == depth
    assert "endless" not in {thread.name for thread in threading.enumerate()}
    assert sum(range(100_000)) == 4_999_950_000  # nothing strikes afterwards


def test_what_python_calls_by_itself_is_not_struck():
    """What is raised there goes nowhere, but to stderr."""

    def collecting(phase, info):
        pass

    gc.callbacks.append(collecting)
    try:
        assert within(0.2, recursion).failure.kind is FailureKind.TIME_UP
    finally:
        gc.callbacks.remove(collecting)


def test_what_is_in_time_is_returned_or_raised(way):
    assert within(60, divmod, 7, 2).value == (3, 1)
    assert within(60, divmod, 7, 0).failure.error == "ZeroDivisionError"


def test_at_the_last_moment_either_the_answer_or_the_end():
    if not child.forks_safely():
        pytest.skip("a second Python would be started again and again")
    ended = 0
    for number in range(60):
        seen = within(0.002 + 0.0005 * (number % 20), sum, range(100_000))
        if seen.failure:
            assert seen.failure.kind is FailureKind.TIME_UP
            ended += 1
        else:
            assert seen.value == 4_999_950_000
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert 0 <= ended <= 60


def test_ctrl_c_still_means_ctrl_c(way):
    """Raised by what is tried, it ends that; pressed in the kernel, it is `test_the_stop_button...`."""

    def press():
        _thread.interrupt_main()
        time.sleep(1)

    assert within(60, press).failure.kind is FailureKind.INTERRUPTED


def test_in_another_thread_there_is_a_limit_too(way):
    within(60, max, 3, 4)
    seen = []

    def look():
        seen.append(within(60, lambda: time.sleep(0.1) or 5))
        seen.append(within(0.2, forever))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen[0].value == 5
    assert seen[1].failure.kind is FailureKind.TIME_UP


def test_in_this_process_no_further_case_is_begun_when_time_is_up():
    seen = observing.observe("call", lambda: time.sleep(0.2), [Case("one"), Case("two")], seconds=0.1)
    assert [s.failure and s.failure.kind for s in seen] == [None, FailureKind.TIME_UP]


DUMP = """Timeout (0:00:00.200000)!
Thread 0x00007f01 [of the learner's] (most recent call first):
  File "/tmp/ipykernel_1/2.py", line 1 in thread

Thread 0x00007f00 (most recent call first):
  File "OBSERVING", line 7 in write
  File "LIBRARY/tensor.py", line 7 in relu
  File "/tmp/J\\xf6rg\\u2615/2.py", line 2 in corr2d
  File "OBSERVING", line 100 in attempt
  File "/tmp/ipykernel_1/3.py", line 1 in <module>
"""


def test_a_dump_is_read_with_care(monkeypatch):
    name = "/tmp/Jörg☕/2.py"
    monkeypatch.setitem(linecache.cache, name, (9, None, ["a = 1\n", "  b = 2\n"], name))
    dump = DUMP.replace("LIBRARY", sysconfig.get_path("stdlib")).replace("OBSERVING", observing.__file__)
    assert observing.line_in_dump(dump) == "line 2: `b = 2`"
    no_function = "".join(line for line in dump.splitlines(keepends=True) if "corr2d" not in line)
    assert observing.line_in_dump(no_function) == ""  # what called the checker is none of what is tried
    for dump in ("", "Timeout", DUMP[:60], '  File "x', "Thread 0x1\n" * 1000, '  File "a", line 99999999999 in x'):
        assert observing.line_in_dump(dump) == ""


AFTERWARDS = """
import cProfile, signal
from exercise_checks.running.child import observe
from exercise_checks.running.observing import Case

def ignores_the_signal():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pass

assert observe("call", lambda: max(3, 4), [Case("one")], 5)[0].value == 4
if observe("call", ignores_the_signal, [Case("one")], 0.2)[0].failure:
    print("up")
print(cProfile.Profile().runcall(lambda: sum(divmod(7, 2))))
"""


def test_a_profiler_still_works_afterwards():
    run = subprocess.run([sys.executable, "-c", AFTERWARDS], capture_output=True, text=True, timeout=60)
    assert run.stdout.split() == ["up", "4"], run.stderr
