"""How a process ended, in words."""

import signal


def describe(status: int) -> str:
    """The end of a process in words; `status` is its exit code, or minus the signal that ended it.

    >>> describe(3)
    'it ended itself with exit status 3.'
    """
    if status >= 0:
        return f"it ended itself with exit status {status}."
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    reasons = {"SIGSEGV": "memory that is not its own was touched", "SIGKILL": "it used too much, or was stopped"}
    return f"it was ended by {name}" + (f" ({reasons[name]})." if name in reasons else ".")
