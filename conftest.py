"""pytest's configuration for this course: how notebooks are compared, and which cells need a GPU."""

import os
from functools import cache

import pytest
from hypothesis import HealthCheck, settings

# pytest-xdist starts one worker per core, and each worker's kernel inherits this: with more than one thread each, they
# would compete for the cores. It also fixes the order of sums, so stored numbers do not depend on the number of cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Running the solutions as tests must not count as progress.
os.environ["COURSE_PROGRESS"] = ""

# No deadlines, because tests must not fail on a busy machine.
settings.register_profile("course", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("course")


def pytest_configure(config):
    # Set here, because a path in the option would be relative to the folder in which pytest is started.
    config.option.nbval_sanitize_with = str(config.rootpath / "nbval_sanitize.cfg")


@cache
def cuda():
    import torch

    return torch.cuda.is_available()


def pytest_collection_modifyitems(items):
    """Skip cells tagged gpu if there is no CUDA, with the reason in the report.

    With CUDA, only their assertions are checked, because the stored output comes from a machine without CUDA.
    """
    for item in items:
        cell = getattr(item, "cell", None)  # only nbval's items have this
        if cell is not None and "gpu" in cell.metadata.get("tags", []):
            item.options["check"] = False
            if not cuda():
                item.add_marker(pytest.mark.skip(reason="needs CUDA"))


def pytest_terminal_summary(terminalreporter):
    """Print the mistakes that the checker recognized in this run, by task (tests/checks/test_tasks.py)."""
    reports = terminalreporter.getreports("passed")
    mutants = [value for report in reports for name, value in report.user_properties if name == "mutant"]
    if mutants:
        terminalreporter.section(f"{len(mutants)} mistakes, each recognized by name")
        for task in dict.fromkeys(task for task, _ in mutants):
            names = ", ".join(mistake for of, mistake in mutants if of == task)
            terminalreporter.line(f"{task}: {names}")
