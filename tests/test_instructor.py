"""The instructor's pages speak of the lessons as they are, and their numbers are computed.

A plan's sections, times and mistakes are compared with the lesson and its tasks; every code block in instructor/ runs.
"""

import doctest
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from course_utils import tasks

ROOT = Path(__file__).resolve().parent.parent
INSTRUCTOR = ROOT / "instructor"
PAGES = sorted(INSTRUCTOR.rglob("*.md"))
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PLANS = [INSTRUCTOR / "plans" / f"{lesson.stem}.md" for lesson in LESSONS]


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


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_code_on_a_page_does_what_it_says(page):
    failures, _ = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert not failures


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert "://" in link or (page.parent / unquote(link)).exists(), link
