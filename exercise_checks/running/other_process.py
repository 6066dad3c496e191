"""For now, until `cohort_grader.sandbox` says `process`."""

from exercise_checks.running.process import describe, end, start, take

__all__ = ["describe", "end", "start", "take"]
