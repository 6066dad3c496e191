"""What is checked runs in a process of its own: no end that it takes, and nothing that it does, reaches the kernel."""

import builtins
import ctypes
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import tqdm.auto
from torch import Tensor

from exercise_checks import checking, judging, progress, tasks
from exercise_checks.running import child, observing
from exercise_checks.running.observing import Case, FailureKind

ONE = [Case("one", (torch.ones(2),))]


def tried(function, cases=ONE, seconds=5.0):
    return child.observe("call", function, cases, seconds)


# ---------------------------------------------------------------------------------------------------------
# Ends of all kinds
# ---------------------------------------------------------------------------------------------------------


def long_operation(X):
    return sum(range(10**11))


def endless_destructor(X):
    class Endless:
        def __del__(self):
            while True:
                try:
                    len("a")
                except BaseException:
                    continue

    return [Endless()] and X


def blocked_signals(X):
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        pass


def ignores_everything(X):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return long_operation(X)


@pytest.mark.parametrize("function", [long_operation, endless_destructor, blocked_signals, ignores_everything])
def test_what_nothing_can_interrupt_is_ended(way, function):
    tried(abs)  # a second Python needs some seconds to start
    begun = time.monotonic()
    [seen] = tried(function, seconds=0.5)
    assert time.monotonic() - begun < 5
    assert (seen.failure.kind, seen.failure.words) == (FailureKind.TIME_UP, "0.5")
    [seen] = tried(abs)
    assert seen.value.tolist() == [1, 1]


def touches_memory(X):
    ctypes.string_at(0)


def answers_with_nothing_behind(X):
    X.untyped_storage().resize_(0)
    return X


def ends_itself(X):
    os._exit(3)


@pytest.mark.parametrize(
    ("function", "words"),
    [(touches_memory, "SIGSEGV"), (answers_with_nothing_behind, "SIGSEGV"), (ends_itself, "exit status 3")],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to name")
def test_a_process_that_ends_is_a_failure_with_its_reason(way, function, words):
    good, bad = Case("good", (torch.ones(2),)), Case("bad", (torch.zeros(2),))
    seen = tried(lambda X: X if X.all() else function(X), [good, bad, good])
    assert [s.failure and s.failure.kind for s in seen] == [None, FailureKind.ENDED]
    assert words in seen[-1].failure.words
    verdict = judging.judge("corr2d", lambda X, K: function(X), observe=child.observe)
    assert "your code ended the process in which it was tried" in verdict.message


def writes_to_every_socket(X):
    for number in range(3, 200):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                os.write(number, b"noise" + bytes(100))
        except OSError:
            continue
    return X


def test_an_answer_that_cannot_be_read_is_a_failure(way):
    [seen] = tried(writes_to_every_socket)
    assert seen.failure.kind is FailureKind.UNUSABLE
    assert "could not be read" in seen.failure.words


def test_too_much_memory_is_an_error_of_the_learners(way):
    if way != "fork":
        pytest.skip("only Linux limits the memory of a fork")

    def greedy(X):
        return bytearray(64 << 30)

    [seen] = tried(greedy)
    assert seen.failure.error == "MemoryError"
    [seen] = tried(lambda X: Path("/proc/self/oom_score_adj").read_text())
    assert seen.value == "1000\n"  # and where memory runs out before, it is this process that ends


# ---------------------------------------------------------------------------------------------------------
# Nothing comes back but what was seen
# ---------------------------------------------------------------------------------------------------------

MEMORY = []


def test_what_the_code_does_to_its_surroundings_stays_there(way, tmp_path):
    def careless(X):
        MEMORY.append(1)
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float64)
        torch.relu = None
        builtins.isinstance = None
        os.chdir(tmp_path)
        os.environ["CARELESS"] = "1"
        sys.settrace(lambda *_: 1 / 0)

    relu, here, threads = torch.relu, os.getcwd(), torch.get_num_threads()
    tried(careless)
    assert MEMORY == []
    assert torch.relu is relu
    assert isinstance(relu, type(len))
    assert (os.getcwd(), torch.get_num_threads(), torch.get_default_dtype()) == (here, threads, torch.float32)
    assert "CARELESS" not in os.environ
    assert sys.gettrace() is None or sys.gettrace().__module__ != __name__


def descendants_of_this_process() -> set[int]:
    import psutil

    return {each.pid for each in psutil.Process().children(recursive=True) if each.status() != "zombie"}


def starts_a_program(X):
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no groups of processes")
def test_nothing_is_left_running(way):
    before = descendants_of_this_process()
    [seen] = tried(starts_a_program)
    tried(ends_itself)  # also a second Python is gone then
    assert seen.value not in descendants_of_this_process()
    assert descendants_of_this_process() <= before
    assert threading.active_count() < 20


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no groups of processes")
def test_what_left_its_group_is_ended_too(way, tmp_path):
    def starts_in_a_session_of_its_own(X):
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        return subprocess.Popen(command, start_new_session=True).pid

    def leaves_its_parent_too(X):
        os.system(f"(setsid sleep 60 & echo $! > {tmp_path}/number)")
        return int((tmp_path / "number").read_text())

    import psutil

    for function in (starts_in_a_session_of_its_own, *([leaves_its_parent_too] if sys.platform == "linux" else ())):
        [seen] = tried(function)
        assert seen.failure is None
        assert not psutil.pid_exists(seen.value) or psutil.Process(seen.value).status() == "zombie"


def test_what_was_printed_before_the_end_is_kept(way):
    def prints_for_ever(X):
        print("size", len(X))
        while X.all():
            print("again")

    good, bad = Case("good", (torch.zeros(2),)), Case("bad", (torch.ones(2),))
    first, second = tried(prints_for_ever, [good, bad, good], seconds=0.5)
    assert (first.failure, first.printed) == (None, "size 2\n")
    assert second.printed.startswith("size 2\nagain\nagain\n")
    assert len(second.printed) == observing.MOST_PRINTED


def test_observations_come_back_whole(way):
    def odd(X, *, scale):
        print("seen", X.is_contiguous(), list(X.stride()))
        return {"T": X.T * scale, "n": [1, (2.5, "three")], "none": None, "opaque": object()}

    X = torch.arange(6.0).reshape(2, 3).T
    for case in [Case("turned", (X,), {"scale": 2}), Case("empty", (torch.zeros(0, 3),), {"scale": 1.5})]:
        [here], [there] = observing.observe("call", odd, [case], 5), tried(odd, [case])
        assert here.printed == there.printed
        assert str(here.value) == str(there.value)
        assert (here.failure, here.changed) == (there.failure, there.changed)


def test_an_error_shows_the_learners_own_line(way):
    def wrong(X):
        return X[5]

    [seen] = tried(wrong)
    assert seen.failure.line.endswith("`return X[5]`")
    assert seen.failure.error == "IndexError"


def test_gradients_arrive(way):
    [seen] = tried(lambda X: X**2)
    assert torch.equal(seen.gradients[0], 2 * torch.cos(torch.arange(2.0)))


def test_an_answer_too_large_to_send_is_named(way):
    [seen] = tried(lambda X: torch.zeros(1).expand(10**7, 10**6))
    assert seen.value.type_name == "Tensor, of shape 10000000×1000000"


def test_what_cannot_be_sent_is_tried_in_the_kernel(monkeypatch):
    monkeypatch.setattr(child, "forks_safely", lambda: False)
    numbers = iter([7])  # an iterator over a list can be sent, but not this one:
    never_sent = (number for number in numbers)
    [seen] = tried(lambda X: next(never_sent))
    assert seen.value == 7
    assert next(never_sent, None) is None


class CannotBeUnpacked:
    def __reduce__(self):
        return os.path.basename, (7,)

    def __call__(self, X):
        return 8


class EndsItsReader(CannotBeUnpacked):
    def __reduce__(self):
        return os._exit, (7,)


class KeepsItsReader(CannotBeUnpacked):
    def __reduce__(self):
        return time.sleep, (1000,)


@pytest.mark.parametrize("kind", [CannotBeUnpacked, EndsItsReader, KeepsItsReader])
def test_what_does_not_arrive_is_tried_in_the_kernel(kind, monkeypatch):
    monkeypatch.setattr(child, "forks_safely", lambda: False)
    tried(abs)
    begun = time.monotonic()
    assert tried(kind(), seconds=0.5)[0].value == 8
    assert time.monotonic() - begun < 10
    assert tried(abs)[0].failure is None


def test_a_second_python_is_started_once(monkeypatch):
    monkeypatch.setattr(child, "forks_safely", lambda: False)
    pids = {tried(lambda X: os.getpid())[0].value for _ in range(3)}
    assert len(pids) == 1
    assert os.getpid() not in pids


def test_input_asks_nobody(way):
    [seen] = tried(lambda X: input("How large? "))
    assert seen.failure.error == "RuntimeError"
    assert "nobody would be asked" in seen.failure.words


@pytest.mark.parametrize("kind", [tqdm.std.tqdm, tqdm.auto.tqdm])
def test_a_bar_that_is_ended_half_drawn_stops_no_bar_of_the_kernel(way, kind, monkeypatch):
    monkeypatch.setattr(kind, "_lock", tqdm.std.TqdmDefaultWriteLock(), raising=False)  # made before the fork

    def holds_the_lock(X):
        kind.get_lock().acquire()
        os._exit(1)

    assert tried(holds_the_lock)[0].failure.kind is FailureKind.ENDED
    for lock in kind.get_lock().locks:
        assert lock.acquire(timeout=1)
        lock.release()


def test_what_is_written_past_python_goes_nowhere(capfd):
    if not child.forks_safely():
        pytest.skip("a fork is not safe here")

    def writes(X):
        os.write(1, b"loud")
        os.write(2, b"louder")
        return X

    assert tried(writes)[0].failure is None
    assert capfd.readouterr() == ("", "")


def test_what_is_checked_may_check(way):
    def checks(X, K):
        checking.check("corr2d", checks)
        return X

    begun = time.monotonic()
    verdict = judging.judge("corr2d", checks, observe=child.observe)
    assert not verdict.passed
    assert time.monotonic() - begun < 60


def press_stop_as_soon_as_there_is(begun: Path) -> None:
    """Not after some time: pressed before the check waits for it, it would stop the tests."""

    def press():
        while not begun.exists():
            time.sleep(0.01)
        time.sleep(0.1)  # until the first case is what is waited for
        signal.pthread_kill(main, signal.SIGINT)

    main = threading.main_thread().ident
    threading.Thread(target=press, daemon=True).start()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="there is no such signal")
def test_the_stop_button_ends_what_is_checked(way, tmp_path):
    def slow(X):
        (tmp_path / "begun").touch()
        while True:
            time.sleep(0.01)

    press_stop_as_soon_as_there_is(tmp_path / "begun")
    begun = time.monotonic()
    [seen] = tried(slow, ONE * 3, seconds=60)
    assert time.monotonic() - begun < 30
    assert seen.failure.kind is FailureKind.INTERRUPTED
    assert "time.sleep(0.01)" in seen.failure.line


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="there is no such signal")
def test_the_stop_button_ends_what_cannot_be_interrupted(way, tmp_path):
    def deaf(X):
        (tmp_path / "begun").touch()
        return long_operation(X)

    press_stop_as_soon_as_there_is(tmp_path / "begun")
    begun = time.monotonic()
    [seen] = tried(deaf, seconds=60)
    assert time.monotonic() - begun < 30
    assert seen.failure.kind is FailureKind.INTERRUPTED


def test_threads_of_the_kernel_do_no_harm(way):
    torch.set_num_threads(2)
    try:
        weights = torch.ones(64, 64, requires_grad=True)
        (weights @ weights).sum().backward()  # from here on torch has threads
        [seen] = tried(lambda X: (weights @ weights).sum().item() + torch.ones(300, 300).mm(torch.ones(300, 300))[0, 0])
    finally:
        torch.set_num_threads(1)
    assert seen.failure is None
    assert seen.value == 64**3 + 300


# ---------------------------------------------------------------------------------------------------------
# The checker
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", tasks.every(), ids=lambda task: task.id)
def test_every_task_is_judged_apart_as_it_is_here(way, task):
    known = task.misconceptions[0]
    assert judging.judge(task.id, task.oracle, observe=child.observe).passed
    here, there = judging.judge(task.id, known.wrong), judging.judge(task.id, known.wrong, observe=child.observe)
    plain = [(v.passed, v.message, v.misconception, v.case) for v in (here, there)]
    assert plain[0] == plain[1]


def refuse(*_, **__):
    raise ValueError("not today")


@pytest.mark.parametrize("name", ["isinstance", "len", "vars", "getattr", "tuple", "str", "print"])
def test_what_a_notebook_did_to_pythons_own_functions_stops_nothing(name, capsys):
    right, everything = tasks.find("corr2d").oracle, builtins.__dict__
    own = everything[name]
    everything[name] = refuse
    try:
        checking.check("corr2d", right)
        patched = everything[name]
    finally:
        everything[name] = own
    assert patched is refuse  # it is the learner's notebook
    assert capsys.readouterr().out == "Passed: Two loops.\n"


def test_whatever_breaks_is_a_sentence(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(progress, "record", refuse)
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "progress.sqlite3"))
    checking.check("corr2d", tasks.find("corr2d").oracle)
    assert capsys.readouterr().out.startswith("This cannot be checked: that raised ValueError.")
    assert not (tmp_path / "progress.sqlite3").exists()


class Deaf:
    def write(self, text):
        raise ValueError("nobody listens")

    def flush(self):
        raise ValueError("nobody listens")


def test_a_check_that_nobody_can_hear_is_none_that_raises(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Deaf())
    checking.check("corr2d", tasks.find("corr2d").oracle)
    assert capsys.readouterr().err.startswith("This cannot be checked: that raised ValueError.")


def test_what_the_code_did_to_torch_is_a_sentence(way, monkeypatch):
    def patches(X, K):
        torch.equal = refuse
        return X

    monkeypatch.setattr(torch, "equal", torch.equal)
    verdict = judging.judge("corr2d", patches, observe=child.observe)
    assert verdict.message.startswith("Looking at what your code did raised ValueError.")


def test_a_check_ends_in_seconds(monkeypatch, capsys):
    task = tasks.find("corr2d")
    monkeypatch.setattr(tasks, "find", lambda _: replace(task, seconds=0.3))
    begun = time.monotonic()
    checking.check("corr2d", lambda X, K: long_operation(X))
    assert time.monotonic() - begun < 5
    said = capsys.readouterr().out
    assert re.search(
        r"was still running after 0.3 s at line \d+: `return sum\(range\(10\*\*11\)\)`. Does every loop", said
    )


def test_a_tensor_stays_a_tensor(way):
    [seen] = tried(lambda X: X.to(torch.bfloat16))
    assert type(seen.value) is Tensor
    assert seen.value.dtype == torch.bfloat16
