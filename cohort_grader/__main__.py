"""Grade a folder of submissions: `python -m cohort_grader SUBMISSIONS --sheet 01_corr2d --out REPORT`."""

import os
import sys

if __name__ == "__main__":
    # If the current folder holds submissions, Python would import a learner's `tqdm.py` instead of the library.
    here = os.path.realpath(os.getcwd())
    if here != os.path.dirname(os.path.dirname(os.path.realpath(__file__))):
        sys.path[:] = [path for path in sys.path if os.path.realpath(path) != here]
    os.environ["PYTHONSAFEPATH"] = "1"  # for the Python processes that this one starts

import argparse
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cohort_grader", description="Grade a folder of submissions.")
    parser.add_argument("submissions", type=Path, help="notebooks, one folder per learner, or nbgrader's submitted/")
    parser.add_argument("--sheet", required=True, help="which sheet was handed out, such as 01_corr2d")
    parser.add_argument("--out", required=True, type=Path, help="folder for the reports")
    parser.add_argument(
        "--seed", type=int, help="seed of the secret cases; by default one is drawn and recorded in the reports"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="submissions to grade in parallel")
    parser.add_argument("--executor", default="", help="dask=tcp://host:8786 grades on that Dask cluster instead")
    parser.add_argument(
        "--allow-weak-isolation", action="store_true", help="grade even where strong isolation is not available"
    )
    parser.add_argument(
        "--isolation", action=_Isolation, nargs=0, help="print which level of isolation this computer offers, and exit"
    )
    return _grade(parser.parse_args(arguments))


class _Isolation(argparse.Action):
    """Like `--help`, needs no other argument: prints the level, then its gaps, one per line."""

    def __call__(self, parser, *_) -> None:
        from cohort_grader.sandbox import levels

        level = levels.strongest()
        needs = "" if level.name == levels.STRONG else ": grading needs --allow-weak-isolation"
        print(f"{level.name} isolation{needs}", *level.missing, sep="\n  ")
        parser.exit()


def _grade(options) -> int:
    from cohort_grader import batch
    from exercise_checks.sheets import SHEETS

    if options.sheet not in SHEETS:
        print(f"--sheet must be one of {', '.join(SHEETS)}, got {options.sheet!r}.", file=sys.stderr)
        return 2
    settings = (options.submissions, options.sheet, options.out, options.seed, options.jobs, options.executor)
    try:
        marks = batch.grade(batch.Batch(*settings, allow_weak=options.allow_weak_isolation))
    except (batch.Refused, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. Run the same command again to resume.", file=sys.stderr)
        return 130
    flagged = sum(bool(mark.flags) for mark in marks)
    print(f"{len(marks)} submissions graded, {flagged} flagged for review: {options.out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
