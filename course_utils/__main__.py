"""The course's command line: `python -m course_utils doctor | train`."""

import argparse
import sys


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m course_utils", description="Check the installation, or train.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="check that this installation can run the course").set_defaults(run=_doctor)
    _add_train(commands)
    options = parser.parse_args(words)
    return options.run(options)


def _add_train(commands) -> None:
    from course_utils import train_command

    train = commands.add_parser("train", help="train LeNet on pictures", description="Train LeNet on pictures.")
    train_command.add_options(train)
    train.set_defaults(run=train_command.run)


# Each command imports what it needs: the doctor must work where torch does not.


def _doctor(options) -> int:
    from course_utils import doctor

    findings = []
    for finding in doctor.examine():
        print(finding, flush=True)
        findings.append(finding)
    return 0 if all(finding.well for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
