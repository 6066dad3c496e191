"""The course's command line: `python -m course_utils doctor | progress | train | grade | release`."""

import argparse
import os
import sys
from pathlib import Path


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m course_utils", description="Tools of the convolution course.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="check that this installation can run the course").set_defaults(run=_doctor)
    commands.add_parser("progress", help="show which tasks you have passed").set_defaults(run=_progress)
    _add_train(commands)
    _add_grade(commands)
    release = commands.add_parser("release", help="make the learners' bundle: the course without its solutions")
    release.add_argument("out", metavar="OUT", type=Path, help="a new folder")
    release.set_defaults(run=_release)
    options = parser.parse_args(words)
    return options.run(options)


def _add_train(commands) -> None:
    from course_utils import train_command

    train = commands.add_parser("train", help="train LeNet on pictures", description="Train LeNet on pictures.")
    train_command.add_options(train)
    train.set_defaults(run=train_command.run)


def _add_grade(commands) -> None:
    grade = commands.add_parser(
        "grade", help="mark a folder of submissions", description="Mark a folder of submissions."
    )
    grade.add_argument("submissions", type=Path, help="notebooks, a folder per learner, or nbgrader's submitted/")
    grade.add_argument("--sheet", required=True, help="which sheet was handed out, such as 01_corr2d")
    grade.add_argument("--out", required=True, type=Path, help="folder for the reports")
    grade.add_argument(
        "--seed", type=int, help="of the secret cases; without it, one is drawn and noted in the reports"
    )
    grade.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="submissions at the same time")
    grade.add_argument("--executor", default="", help="dask=tcp://host:8786 grades on that cluster instead")
    grade.add_argument("--allow-weak-isolation", action="store_true", help="grade where the strong level does not hold")
    grade.set_defaults(run=_grade)


# Each command imports what it needs: the doctor must work where torch does not.


def _doctor(options) -> int:
    from course_utils import doctor

    findings = []
    for finding in doctor.examine():
        print(finding, flush=True)
        findings.append(finding)
    return 0 if all(finding.well for finding in findings) else 1


def _progress(options) -> int:
    from course_utils import progress

    print(progress.report())
    return 0


def _grade(options) -> int:
    from course_utils.grading import batch
    from course_utils.sheets import SHEETS

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


def _release(options) -> int:
    from course_utils import release

    try:
        done = release.release(options.out)
    except (release.NotReleased, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.out}: {done.files} files for learners. None of the solutions' {done.answers} answers and")
    print(f"{done.explanations} explanations is in them, apart from code that the lessons and the checker hold anyway.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
