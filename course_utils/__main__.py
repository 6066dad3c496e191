"""The course's command line: `python -m course_utils doctor | train`."""

import argparse
import sys

from course_utils import doctor, train_command  # neither imports torch before it is needed


def main(words: list[str] | None = None) -> int:
    """Run the command that `words` name; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m course_utils", description="Check the installation, or train.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="check that this installation can run the course").set_defaults(run=doctor.run)
    train = commands.add_parser("train", help="train LeNet on images", description="Train LeNet on images.")
    train_command.add_options(train)
    train.set_defaults(run=train_command.run)
    options = parser.parse_args(words)
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
