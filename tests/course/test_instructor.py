"""The instructor's pages speak of the lessons as they are, and their numbers are computed.

A plan's sections, times and mistakes are compared with the lesson and its tasks, a schedule's minutes with the plans;
every code block in instructor/ runs.
"""

import doctest
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from exercise_checks import tasks

ROOT = Path(__file__).resolve().parents[2]
INSTRUCTOR = ROOT / "instructor"
PAGES = sorted(INSTRUCTOR.rglob("*.md"))
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PLANS = [INSTRUCTOR / "plans" / f"{lesson.stem}.md" for lesson in LESSONS]
SHEETS = sorted((ROOT / "exercises").glob("*.ipynb"))
SCHEDULES = INSTRUCTOR / "schedules.md"


def name(path):
    return path.stem


def headings(lesson):
    """(title, numbered sections) of a lesson."""
    cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return re.search(r"^# (.+)", text)[1], re.findall(r"^## (\d+\.\d+ .+)", text, flags=re.MULTILINE)


def sections(plan):
    """The rows of a plan's table: section, minutes, what to do if time is short."""
    return re.findall(r"^\| (\d+\.\d+ .+?) \| (\d+) \| (.+?) \|$", plan, flags=re.MULTILINE)


def polls(plan):
    return re.split(r"^### ", plan.partition("## Polls\n")[2].partition("\n## ")[0], flags=re.MULTILINE)[1:]


def timetables(text):
    """The tables of a schedule: for each day its rows (time, what, minutes). A row that is none of these fails."""
    days = re.findall(r"^\| time \| what \| minutes \|\n\|[-|]+\|\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    row = re.compile(r"\| (\d\d:\d\d) \| (.+) \| (\d+) \|")
    return [[row.fullmatch(line).groups() for line in day.splitlines()] for day in days]


def schedules():
    """(title, text) of each course in schedules.md."""
    parts = re.split(r"^## ", SCHEDULES.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [part.split("\n", 1) for part in parts]


def test_every_lesson_has_a_plan():
    assert sorted((INSTRUCTOR / "plans").glob("*.md")) == PLANS


@pytest.mark.parametrize("lesson", LESSONS, ids=name)
def test_a_plan_follows_its_lesson(lesson):
    plan = (INSTRUCTOR / "plans" / f"{lesson.stem}.md").read_text(encoding="utf-8")
    title, wanted = headings(lesson)
    assert plan.splitlines()[0] in (f"# Plan for lesson {title}", f"# Plan for {title}")
    assert "**Goal.** " in plan
    rows = sections(plan)
    assert [section for section, _, _ in rows] == wanted
    whole = sum(int(minutes) for _, minutes, _ in rows)
    short = sum(int(minutes) for _, minutes, advice in rows if not advice.startswith("cut"))
    assert f"**In class:** {whole} minutes; {short} without what can be cut." in plan
    assert all(advice.startswith(("keep", "cut")) for _, _, advice in rows)


@pytest.mark.parametrize("plan", PLANS, ids=name)
def test_polls_have_one_right_answer_and_explain_the_wrong_ones(plan):
    found = polls(plan.read_text(encoding="utf-8"))
    assert len(found) >= 3 or plan.stem == "00_start_here"
    for poll in found:
        options = re.findall(r"^- \*\*([A-E])\.\*\* (.+)", poll, flags=re.MULTILINE)
        assert [letter for letter, _ in options] == list("ABCDE")[: len(options)], poll
        assert len(options) >= 3, poll
        assert sum("*Right" in words for _, words in options) == 1, poll
        assert ">>> " in poll, f"nothing computes the answer of: {poll}"


@pytest.mark.parametrize("plan", PLANS, ids=name)
def test_mistakes_are_those_that_the_checker_knows(plan):
    known = {f"{task.id}/{mistake.name}" for task in tasks.every() for mistake in task.misconceptions}
    named = set(re.findall(r"`(\w+/\w+)`", plan.read_text(encoding="utf-8")))
    assert not named - known
    assert len(named) >= 4 or plan.stem == "00_start_here"


@pytest.mark.parametrize("sheet", SHEETS, ids=name)
def test_the_short_way_through_a_sheet_names_its_tasks(sheet):
    plan = (INSTRUCTOR / "plans" / f"{sheet.stem}.md").read_text(encoding="utf-8")
    short = re.search(r"short of\s+time\s+does\s+(.+?)[.;:]", plan, flags=re.DOTALL)[1]
    named = set(re.findall(r"`(\w+)`", short))
    assert named
    assert named < {task.id for task in tasks.of_sheet(sheet.stem)}


def test_a_lesson_in_a_schedule_takes_the_minutes_of_its_plan():
    rows = [row for _, text in schedules() for day in timetables(text) for row in day if "plans/" in row[1]]
    assert len(rows) > 25
    for _, what, minutes in rows:
        number, plan, how = re.fullmatch(r"lesson \[(\d+)\]\(plans/(.+)\), (whole|short)", what).groups()
        assert plan.startswith(f"{int(number):02d}_"), what
        text = (INSTRUCTOR / "plans" / plan).read_text(encoding="utf-8")
        whole, short = re.search(r"In class:\*\* (\d+) minutes; (\d+) ", text).groups()
        assert minutes == (whole if how == "whole" else short), what


def test_the_times_of_a_day_add_up():
    days = [day for _, text in schedules() for day in timetables(text)]
    assert len(days) == 1 + 5 + 2 * 8
    for day in days:
        begins = [int(time[:2]) * 60 + int(time[3:]) for time, _, _ in day]
        assert day[-1][1] == "end"
        for i, (time, what, minutes) in enumerate(day[:-1]):
            assert begins[i] + int(minutes) <= begins[i + 1], (time, what)


def test_sheets_in_a_schedule_take_the_minutes_that_they_give():
    text = SCHEDULES.read_text(encoding="utf-8")
    in_class = re.findall(r"sheet \[(\d+)\]\(\.\./exercises/(\w+)\.ipynb\): (.+?) \| (\d+) \|", text)
    at_home = re.findall(r"sheet \[(\d+)\]\(\.\./exercises/(\w+)\.ipynb\), (\d+) minutes", text)
    assert in_class
    assert len(in_class) + len(at_home) == text.count("exercises/")
    for number, sheet, chosen, minutes in in_class:
        needed = {task.id: task.minutes for task in tasks.of_sheet(sheet)}
        assert sum(needed[task] for task in re.findall(r"`(\w+)`", chosen)) <= int(minutes), (sheet, chosen)
        assert sheet.startswith(f"{int(number):02d}_")
    for number, sheet, minutes in at_home:
        assert sum(task.minutes for task in tasks.of_sheet(sheet)) == int(minutes), sheet
        assert sheet.startswith(f"{int(number):02d}_")


def test_eight_weeks_teach_every_lesson_whole_and_hand_out_every_sheet():
    text = dict(schedules())["Eight weeks"]
    assert re.findall(r"\(plans/(\w+)\.md\), whole", text) == [plan.stem for plan in PLANS]
    assert re.findall(r"exercises/(\w+)\.ipynb\), \d+ minutes", text) == [sheet.stem for sheet in SHEETS]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_code_on_a_page_does_what_it_says(page):
    failures, _ = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert not failures


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert "://" in link or (page.parent / unquote(link)).exists(), link
