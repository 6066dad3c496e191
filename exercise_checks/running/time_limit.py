"""Stop a call that takes too long, from within the same process."""

import _thread
import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable
from sys import setrecursionlimit


class TimeUp(BaseException):
    """Raised inside a call that ran too long. Not an Exception, so that `except Exception` does not hide it."""


def call_within(seconds: float, function: Callable, *args):
    """Return `function(*args)`; raise `TimeUp` inside it when it still runs after `seconds`.

    `TimeUp` is raised again and again until the call is left, so a bare `except:` in a loop does not save it. Python
    code and sleeps are interrupted, also in threads that the call started; one long operation of a library ends first.
    Only the main thread can be interrupted: called from another one, this waits as long as it takes.

    >>> call_within(1.0, max, 3, 4)
    4
    """
    if threading.current_thread() is not threading.main_thread():
        return function(*args)
    here, late, left = sys._getframe(), False, threading.Event()
    struck = False  # whether an exception was raised past the signal
    last, places = None, set()  # the frame that the signal struck last, and where
    depth, threads = sys.getrecursionlimit(), set(threading.enumerate())
    gate = threading.Lock()  # closed until the call begins: nothing may be raised while the thread is being started
    gate.acquire()

    def knock():
        nonlocal late, struck
        gate.acquire()
        while not left.wait(0.1 if late else seconds):
            late = True
            # Room for `answer` itself, should the call be a recursion that is as deep as Python allows.
            setrecursionlimit(sys.getrecursionlimit() + 20)
            if signal.getsignal(signal.SIGINT) is answer:
                _interrupt_main_thread()
            else:  # the call listens to the signal itself
                struck = True
                _raise_in(threading.main_thread(), TimeUp)

    def answer(signum, frame):
        nonlocal last, places
        if not late:  # the learner's own Ctrl-C, or the stop button
            raise KeyboardInterrupt
        if not left.is_set() and frame is not here and _is_below(frame, here):
            if frame is not last:
                last, places = frame, set()
            # To strike the same place again could be to do so for ever: Python 3.12 may count it to a `try` that has
            # been left. So it is let go once, and the next place is struck.
            again = frame.f_lasti in places
            places = set() if again else places | {frame.f_lasti}
            # Should this one be swallowed, the next is on its way. Python looks for signals after every call, so a
            # call here would meet its own signal; unpacking a map is none, and the signal waits for the learner's code.
            (_,) = map(_thread.interrupt_main, (signal.SIGINT,))
            if not again:
                raise TimeUp

    before = signal.signal(signal.SIGINT, answer)
    watch = threading.Thread(target=knock, daemon=True)
    watch.start()
    try:
        gate.release()
        return function(*args)
    finally:
        here = last = None  # from here on nothing is below it, and nothing is interrupted any more
        setrecursionlimit(depth)  # the call may have left less than what follows needs
        left.set()
        watch.join()
        if struck:
            _take_back()
        time.sleep(1e-6)  # a signal sent at the last moment arrives on the way back from the system, and is ignored
        signal.signal(signal.SIGINT, before)
        setrecursionlimit(depth)
        if late:
            for thread in set(threading.enumerate()) - threads:
                _raise_in(thread, SystemExit)  # the only one with which a thread ends in silence


def _raise_in(thread: threading.Thread, error: type) -> None:
    """Let `error` be raised at the thread's next line of Python, in place of one that has not been raised yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(error))


def _take_back() -> None:
    """Let what was to be raised in this thread, and has not been yet, be raised here and go no further.

    To ask for no exception (NULL) would not do: Python 3.11 would look for one from then on, at every line, and a
    profiler or a debugger would never get beyond the next.
    """
    try:
        _raise_in(threading.main_thread(), TimeUp)
        while True:
            time.sleep(0)
    except TimeUp:
        return


def _interrupt_main_thread() -> None:
    if hasattr(signal, "pthread_kill"):  # also ends a sleep; Windows has no such call, and there sleeps end anyway
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _is_below(frame, top) -> bool:
    while frame is not None and frame is not top:
        frame = frame.f_back
    return frame is not None
