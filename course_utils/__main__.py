"""The course's command line: `python -m course_utils doctor`."""

import argparse
import sys

from course_utils import doctor


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m course_utils", description="Tools of the convolution course.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="check that this installation can run the course")
    parser.parse_args(words)
    findings = []
    for finding in doctor.examine():
        print(finding, flush=True)
        findings.append(finding)
    return 0 if all(finding.well for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
