"""What a submission costs the grader, in cold imports of torch: copies of solved sheets, and both timed in one run.

python benchmarks/grading.py [--copies 200] [--jobs 2] [SHEET ...]

A cold import is `import torch` in a fresh Python process: the median of three before each batch and three after it.
A batch is one `python -m cohort_grader` from its start to its last report, divided by the number of copies. What
a batch of two takes is nearly all start; what a batch takes beyond that, divided by the other copies, is one more.

On a machine that does other work, too, the clock says little. There the ratio by CPU stands: the processor time of a
submission, divided by the jobs, against that of an import.

Memory is watched in a smaller batch of its own, since watching takes time: the sum over all processes of what each has
in memory, with pages that several share counted once (Linux's PSS).
"""

import argparse
import contextlib
import ctypes
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path(__file__).resolve().parents[1]
SHEETS = ("01_corr2d", "06_pooling", "09_transposed_conv")
COPIES_FOR_MEMORY = 30
PR_SET_CHILD_SUBREAPER = 36  # from linux/prctl.h


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("sheets", nargs="*", default=SHEETS, metavar="SHEET", help=f"default: {' '.join(SHEETS)}")
    options.add_argument("--copies", type=int, default=200, help="submissions in a batch, 3 or more")
    options.add_argument("--jobs", type=int, default=2, help="submissions at the same time")
    chosen = options.parse_args()
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {chosen.jobs} jobs\n")
    head = ["sheet", "copies", "batch, s", "a submission, s", "cold import, s", "ratio", "a minute"]
    head += ["start, s", "one more, s", "CPU of the start, s", "CPU of one more, s"]
    head += ["CPU a submission, s", "CPU of an import, s", "ratio by CPU", "peak memory, GiB"]
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|", flush=True)
    for sheet in chosen.sheets:
        imports = [cold_import() for _ in range(3)]
        start, whole = (batch(sheet, copies, chosen.jobs) for copies in (2, chosen.copies))
        more = Cost(whole.wall - start.wall, whole.cpu - start.cpu) / (chosen.copies - 2)
        cost = whole / chosen.copies
        imports += [cold_import() for _ in range(3)]
        cold = Cost(*(statistics.median(parts) for parts in zip(*imports, strict=True)))
        by_cpu = cost.cpu / chosen.jobs / cold.cpu
        numbers = [f"{whole.wall:.1f}", f"{cost.wall:.3f}", f"{cold.wall:.2f}"]
        numbers += [f"{cost.wall / cold.wall:.3f}", f"{60 / cost.wall:.0f}"]
        numbers += [f"{start.wall:.1f}", f"{more.wall:.3f}", f"{start.cpu:.1f}", f"{more.cpu:.3f}"]
        numbers += [f"{cost.cpu:.3f}", f"{cold.cpu:.2f}", f"{by_cpu:.3f}", peak_memory(sheet, chosen.jobs)]
        print(f"| {sheet} | {chosen.copies} | {' | '.join(numbers)} |", flush=True)


class Cost(NamedTuple):
    """Seconds: by the clock, and of processors."""

    wall: float
    cpu: float

    def __truediv__(self, count: int) -> "Cost":
        return Cost(self.wall / count, self.cpu / count)


def cost_of(command: list[str]) -> Cost:
    """Run a command in the course's folder; processor time counts all processes that come from it.

    On Linux also those that end after it, such as the one from which its pool is forked: they are left to this process.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    wall = time.perf_counter() - began
    if sys.platform == "linux":
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()
    after = os.times()
    user, system = after.children_user - before.children_user, after.children_system - before.children_system
    return Cost(wall, user + system)


def cold_import() -> Cost:
    """`import torch` in a fresh process, less an empty process."""
    full, empty = (cost_of([sys.executable, "-c", code]) for code in ("import torch", "pass"))
    return Cost(full.wall - empty.wall, full.cpu - empty.cpu)


def batch(sheet: str, copies: int, jobs: int) -> Cost:
    """Grade so many copies of the solved sheet, into a new report."""
    with tempfile.TemporaryDirectory() as folder:
        cost = cost_of(prepare(Path(folder), sheet, copies, jobs))
        check_all_passed(Path(folder, "report", "grades.csv"), copies)
    return cost


def prepare(folder: Path, sheet: str, copies: int, jobs: int) -> list[str]:
    """Put copies of the solved sheet into a folder; return the command that grades them."""
    submissions = folder / "submissions"
    submissions.mkdir()
    for number in range(copies):
        shutil.copy(ROOT / "solutions" / f"{sheet}.ipynb", submissions / f"learner{number:03}.ipynb")
    command = [sys.executable, "-m", "cohort_grader", str(submissions), "--sheet", sheet]
    return [*command, "--out", str(folder / "report"), "--seed", "1", "--jobs", str(jobs)]


def check_all_passed(table: Path, copies: int) -> None:
    """A batch that earned less than full marks would be a time for something else."""
    head, *rows = (line.split(",") for line in table.read_text(encoding="utf-8").splitlines())
    score, most = head.index("score"), head.index("max_score")
    assert len(rows) == copies
    assert all(row[score] == row[most] for row in rows)


def peak_memory(sheet: str, jobs: int) -> str:
    """The most that all processes of a batch keep in memory together, as text; "-" where there is no /proc."""
    if sys.platform != "linux":
        return "-"
    peak = 0
    with tempfile.TemporaryDirectory() as folder:
        command = prepare(Path(folder), sheet, COPIES_FOR_MEMORY, jobs)
        process = psutil.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            peak = max(peak, sum(map(kept_in_memory, [process, *process.children(recursive=True)])))
            time.sleep(0.05)
    return f"{peak / (1 << 30):.2f}"


def kept_in_memory(process: psutil.Process) -> int:
    """Bytes, with a part of each shared page; 0 for a process that has ended."""
    try:
        return process.memory_full_info().pss
    except psutil.NoSuchProcess:
        return 0


if __name__ == "__main__":
    main()
