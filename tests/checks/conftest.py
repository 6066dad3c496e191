"""Both ways to use in a child process what a learner wrote."""

import pytest


@pytest.fixture(params=["fork", "second Python"])
def way(request, monkeypatch):
    """Each way, wherever the test runs, as far as that is possible."""
    from exercise_checks.running import child

    if request.param == "second Python":
        monkeypatch.setattr(child, "forks_safely", lambda: False)
    elif not child.forks_safely():
        pytest.skip("a fork is not safe here")
    return request.param


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left():
    yield
    from exercise_checks.running import child

    if child._second:
        child._second.close()
    child._second = None
