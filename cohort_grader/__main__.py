"""Grade a folder of submissions: `python -m cohort_grader SUBMISSIONS --sheet 01_corr2d --out REPORT`."""

import os
import sys

if __name__ == "__main__":
    # Started where the submissions lie, Python would import a learner's `tqdm.py` in place of the library.
    here = os.path.realpath(os.getcwd())
    if here != os.path.dirname(os.path.dirname(os.path.realpath(__file__))):
        sys.path[:] = [place for place in sys.path if os.path.realpath(place) != here]
    os.environ["PYTHONSAFEPATH"] = "1"  # for the Pythons that this one starts

import argparse
from pathlib import Path


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cohort_grader", description="Mark a folder of submissions.")
    parser.add_argument("submissions", type=Path, help="notebooks, a folder per learner, or nbgrader's submitted/")
    parser.add_argument("--sheet", required=True, help="which sheet was handed out, such as 01_corr2d")
    parser.add_argument("--out", required=True, type=Path, help="folder for the reports")
    parser.add_argument(
        "--seed", type=int, help="of the secret cases; without it, one is drawn and noted in the reports"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="submissions at the same time")
    parser.add_argument("--executor", default="", help="dask=tcp://host:8786 grades on that cluster instead")
    parser.add_argument(
        "--allow-weak-isolation", action="store_true", help="grade where the strong level does not hold"
    )
    parser.add_argument(
        "--isolation", action=_Isolation, nargs=0, help="say which level of isolation holds here, and end"
    )
    return _grade(parser.parse_args(words))


class _Isolation(argparse.Action):
    """Like `--help` it needs no other argument: print the level, then what it lacks, a line each."""

    def __call__(self, parser, *_) -> None:
        from cohort_grader.sandbox import levels

        level = levels.strongest()
        wants = "" if level.name == levels.STRONG else ": grading wants --allow-weak-isolation"
        print(f"{level.name} isolation{wants}", *level.missing, sep="\n  ")
        parser.exit()


def _grade(options) -> int:
    from cohort_grader import batch
    from exercise_checks.sheets import SHEETS

    if options.sheet not in SHEETS:
        print(f"--sheet is {options.sheet!r}, must be one of {', '.join(SHEETS)}.", file=sys.stderr)
        return 2
    wanted = (options.submissions, options.sheet, options.out, options.seed, options.jobs, options.executor)
    try:
        marks = batch.grade(batch.Batch(*wanted, allow_weak=options.allow_weak_isolation))
    except (batch.Refused, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return 130
    flagged = sum(bool(mark.flags) for mark in marks)
    print(f"{len(marks)} submissions, {flagged} of them to look at: {options.out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
