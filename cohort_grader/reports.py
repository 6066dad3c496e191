"""Marks as files: a table for a learning platform, the same for programs, pages for learners and for the instructor.

Whatever a learner wrote is text here: escaped, its length capped, and no page can run a script. The same marks give the
same bytes.
"""

import csv
import hashlib
import html
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cohort_grader import page
from cohort_grader.marks import PASSED, UNWRITTEN, WRONG, Mark, TaskMark
from cohort_grader.sandbox.levels import STRONG, Limits
from cohort_grader.submissions import readable

if TYPE_CHECKING:
    from exercise_checks.tasks import Task

# The columns of `nbgrader export`, in its order.
NBGRADER = (
    *("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email"),
    *("raw_score", "late_submission_penalty", "score", "max_score"),
)
FORMULAS = ("=", "+", "-", "@")
LONGEST_FLAG = 300
STRONG_WORDS = " (no network, one core, no files but Python's, the libraries' and its own; what it starts ends with it)"
RESERVED = ("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)))


@dataclass(frozen=True)
class Entry:
    """A mark, and when the submission came in, as far as that is known."""

    mark: Mark
    timestamp: str = ""


def write(out: Path, sheet: str, seed: int, entries: Sequence[Entry]) -> None:
    """Write all reports into the folder `out`: grades.csv, grades.json, index.html and feedback/.

    Args:
        entries: sorted by learner.
    """
    (out / "feedback").mkdir(exist_ok=True)
    for entry in entries:
        replace(out / "feedback" / page_name(entry.mark.learner), feedback(entry.mark, sheet))
    replace(out / "index.html", overview(sheet, [entry.mark for entry in entries]))
    replace(out / "grades.json", as_json(sheet, seed, entries))
    replace(out / "grades.csv", as_csv(sheet, entries))


def replace(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    part = path.with_name(f"{path.name[:80]}.part")
    part.write_text(text, encoding="utf-8", newline="")
    os.replace(part, path)


def page_name(learner: str) -> str:
    """Return the file name of a learner's page: good on every system, and another for every learner.

    >>> page_name("doe, jane"), page_name("../../etc")
    ('doe, jane.html', '_.._etc-74ccf3c5.html')
    """
    safe = "".join(c if c.isalnum() or c in " ._-,()@+'" else "_" for c in learner)[:80].strip(". ")
    if safe and safe == learner and safe.partition(".")[0].lower() not in RESERVED:
        return f"{safe}.html"
    return f"{safe or 'learner'}-{hashlib.sha256(learner.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}.html"


# ---------------------------------------------------------------------------------------------------------
# Tables
# ---------------------------------------------------------------------------------------------------------


def as_csv(sheet: str, entries: Iterable[Entry]) -> str:
    """Return grades.csv: nbgrader's columns, then one per task with the points earned, then `flags`."""
    entries = list(entries)
    ids = [task.id for task in _tasks(sheet, [entry.mark for entry in entries])]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*NBGRADER, *ids, "flags"])
    for entry in entries:
        mark, flags = entry.mark, "; ".join(flag[:LONGEST_FLAG] for flag in entry.mark.flags)
        person = [sheet, "", entry.timestamp, _harmless(mark.learner), "", "", ""]
        points = [task.points for task in mark.tasks]
        table.writerow([*person, mark.points, 0, mark.points, mark.worth, *points, _harmless(flags)])
    return text.getvalue()


def _tasks(sheet: str, marks: Sequence[Mark]) -> Sequence["TaskMark | Task"]:
    """A sheet's tasks, as every mark lists them. Without a mark the course is asked, and that imports torch."""
    if marks:
        return marks[0].tasks
    from exercise_checks import tasks

    return tasks.of_sheet(sheet)


def _harmless(text: str) -> str:
    """A spreadsheet computes what begins like a formula; behind an apostrophe it is text."""
    text = readable(text)
    return f"'{text}" if text.startswith(FORMULAS) else text


def as_json(sheet: str, seed: int, entries: Iterable[Entry]) -> str:
    """Return grades.json. It names the seed of the secret cases, so it is for the instructor alone."""
    learners = [
        asdict(e.mark) | {"score": e.mark.points, "max_score": e.mark.worth, "timestamp": e.timestamp} for e in entries
    ]
    grades = {"sheet": sheet, "seed": seed, "limits": asdict(Limits()), "learners": learners}
    return json.dumps(grades, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


# ---------------------------------------------------------------------------------------------------------
# Pages
# ---------------------------------------------------------------------------------------------------------


def feedback(mark: Mark, sheet: str) -> str:
    """Return a learner's page. It holds nothing of the secret cases but their kinds, and no flags."""
    parts = [f"<h1>Sheet {page.text(sheet)}</h1>", f"<p class=who>{page.text(mark.learner)}</p>"]
    parts.append(f"<p class=score><b>{mark.points}</b> of {mark.worth} points</p>")
    if mark.problem:
        parts.append(page.card("wrong", "Nothing could be graded", "", [mark.problem]))
    else:
        parts += [_task(task) for task in mark.tasks]
    if mark.cells:
        items = "".join(f"<li>{page.with_code(sentence)}</li>" for sentence in mark.cells)
        parts.append(
            f"<h2>Cells that did not run to their end</h2><p>The others were run all the same.</p><ul>{items}</ul>"
        )
    parts.append(_how(mark))
    return page.whole(f"{sheet}: {mark.learner}", parts)


def _task(task: TaskMark) -> str:
    points = f"{task.points} of {task.worth}"
    tables = page.tables(task.target, task.yours) if task.target else ""
    lines = task.message.splitlines() if task.state == WRONG else []  # of the others, the head says it all
    return page.card(_class(task), task.title, points, lines, tables)


def _class(task: TaskMark) -> str:
    return "passed" if task.state == PASSED else "unwritten" if task.state == UNWRITTEN else "wrong"


def _how(mark: Mark) -> str:
    lines = [
        "Points are given for cases of the same kinds as those of <code>check</code>, with other numbers and sizes. "
        "What is said about a wrong answer comes, where possible, from the cases that <code>check</code> uses: you can "
        "see the same at home."
    ]
    if mark.level:
        lines.append(_level(mark.level, mark.missing))
        lines.append(limits_in_words(Limits()))
    return f"<h2>How this was graded</h2><div class=how>{''.join(f'<p>{line}</p>' for line in lines)}</div>"


def limits_in_words(limits: Limits) -> str:
    """Return one sentence with the limits of each submission."""
    size = {name: _size(value) for name, value in asdict(limits).items() if name.endswith("_bytes")}
    task = f"{limits.seconds_per_task:g} s" if limits.seconds_per_task else "its own time"
    return (
        f"Limits: {limits.total_seconds:g} s in all, {limits.seconds_per_cell:g} s a cell, for each task {task}; "
        f"{size['memory_bytes']} of memory beyond the libraries, {limits.threads} threads, {size['scratch_bytes']} of "
        f"files, {size['reply_bytes']} an answer."
    )


def _size(count: int) -> str:
    return f"{count / (1 << 30):g} GiB" if count >= 1 << 30 else f"{count / (1 << 20):g} MiB"


def overview(sheet: str, marks: Sequence[Mark]) -> str:
    """Return the instructor's page: who earned what, where a task went wrong, and what deserves a look."""
    mean = sum(mark.points for mark in marks) / len(marks) if marks else 0
    worth = marks[0].worth if marks else 0
    parts = [
        f"<h1>Sheet {page.text(sheet)}</h1>",
        f"<p class=score>{len(marks)} learners, on average <b>{mean:.1f}</b> of {worth} points</p>",
        _grades(marks),
        "<h2>Task by task</h2>",
        _by_task(sheet, marks),
        "<h2>How this was graded</h2>",
        f"<div class=how>{''.join(f'<p>{line}</p>' for line in [*_levels(marks), limits_in_words(Limits())])}</div>",
    ]
    return page.whole(f"{sheet}: grades", parts, wide=True)


def _grades(marks: Sequence[Mark]) -> str:
    if not marks:
        return "<p>The folder holds no submissions.</p>"
    head = "".join(f"<th>{page.text(task.id)}<br><small>{task.worth}</small></th>" for task in marks[0].tasks)
    rows = []
    for mark in marks:
        link = f'<a href="feedback/{page.link(page_name(mark.learner))}">{page.text(mark.learner)}</a>'
        cells = "".join(f'<td class={_class(task)} title="{_hover(task)}">{_sign(task)}</td>' for task in mark.tasks)
        flags = "<br>".join(page.text(flag[:LONGEST_FLAG]) for flag in mark.flags)
        rows.append(f"<tr><th>{link}</th><td><b>{mark.points}</b></td>{cells}<td class=flags>{flags}</td></tr>")
    head = f"<tr><th>Learner</th><th>Points<br><small>{marks[0].worth}</small></th>{head}<th>To look at</th></tr>"
    return f"<div class=scroll><table class=grades><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>"


def _sign(task: TaskMark) -> str:
    sign = {"passed": "✓", "wrong": "✗", "unwritten": "–"}[_class(task)]
    return f"{sign} {task.points}" if task.state != UNWRITTEN else sign


def _hover(task: TaskMark) -> str:
    return html.escape(readable(task.misconception or task.state), quote=True)


def _by_task(sheet: str, marks: Sequence[Mark]) -> str:
    rows = []
    for place, task in enumerate(_tasks(sheet, marks)):
        of_task = [mark.tasks[place] for mark in marks]
        passed = sum(t.state == PASSED for t in of_task)
        open_ = sum(t.state == UNWRITTEN for t in of_task)
        mistakes = Counter(t.misconception for t in of_task if t.misconception).most_common(4)
        names = ", ".join(f"{page.text(name)} ({count})" for name, count in mistakes)
        title = f"<code>{page.text(task.id)}</code> {page.text(task.title)}"
        rows.append(
            f"<tr><th>{title}</th><td>{passed} of {len(marks)}</td><td>{open_}</td><td class=flags>{names}</td></tr>"
        )
    head = "<tr><th>Task</th><th>Passed</th><th>Not written</th><th>Mistakes with a name</th></tr>"
    return f"<div class=scroll><table class=grades><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>"


def _levels(marks: Sequence[Mark]) -> list[str]:
    """One line for each level of isolation that held, with what it lacks."""
    found = Counter((mark.level, mark.missing) for mark in marks if mark.level)
    return [f"{_level(*which)} Submissions run so: {count}." for which, count in sorted(found.items())]


def _level(level: str, missing: Sequence[str]) -> str:
    lacks = f" It lacks: {page.text(' '.join(missing))}" if missing else ""
    return f"Isolation: <b>{page.text(level)}</b>{STRONG_WORDS if level == STRONG else ''}.{lacks}"
