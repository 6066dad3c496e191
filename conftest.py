"""What pytest needs to know about this course: how notebooks are compared, and which cells need a GPU."""

import os
from functools import cache

import pytest
from hypothesis import HealthCheck, settings

# pytest-xdist starts one worker per core, and each worker's kernel inherits this: one thread each, or they
# fight over the cores. It also fixes the order of sums, so that stored numbers do not depend on the machine's cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Solutions that are run as tests are nobody's progress.
os.environ["COURSE_PROGRESS"] = ""

# A busy machine must not fail a test: no deadlines.
settings.register_profile("course", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("course")


def pytest_configure(config):
    # Set here, because the option's own path would be relative to wherever pytest is started.
    config.option.nbval_sanitize_with = str(config.rootpath / "nbval_sanitize.cfg")


@cache
def cuda():
    import torch

    return torch.cuda.is_available()


def pytest_collection_modifyitems(items):
    """Skip the cells tagged gpu where there is no CUDA, with the reason in the report.

    Where there is CUDA they run, and their asserts decide: what they print was stored on a machine without.
    """
    for item in items:
        cell = getattr(item, "cell", None)  # only nbval's items have one
        if cell is not None and "gpu" in cell.metadata.get("tags", []):
            item.options["check"] = False
            if not cuda():
                item.add_marker(pytest.mark.skip(reason="needs CUDA"))


def pytest_terminal_summary(terminalreporter):
    """Print the table of tasks and the mistakes that the checker told apart in this run (tests/test_tasks.py)."""
    reports = terminalreporter.getreports("passed")
    mutants = [value for report in reports for name, value in report.user_properties if name == "mutant"]
    if mutants:
        terminalreporter.section(f"{len(mutants)} mistakes, each called by its name")
        for task in dict.fromkeys(task for task, _ in mutants):
            names = ", ".join(mistake for of, mistake in mutants if of == task)
            terminalreporter.line(f"{task}: {names}")
