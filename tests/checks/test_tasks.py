"""The checker, tested by mutation: every right answer passes, every known mistake is called by its own name.

`pytest -rA` or the summary at the end of a run shows the table of tasks and misconceptions.
"""

import importlib
import inspect
import re
from pathlib import Path

import pytest
import torch

from exercise_checks import tasks
from exercise_checks.judging import compare, judge
from exercise_checks.running.observing import plain
from exercise_checks.tasks.task import edited

SEEDS = (None, 1, 2)  # the public cases, and others such as a grader draws
EVERY = tasks.every()


def named(task):
    return f"{tasks.sheet_of(task)[3:]}-{task.id}"


def dressed(kind):
    """What tests/checks/right_answers holds for all sheets, as pytest's parameters."""
    rows = []
    for sheet in tasks.SHEETS:
        module = importlib.import_module(f"right_answers.{sheet[3:]}")
        if kind == "right":
            found = [(task_id, answer) for task_id, answers in module.RIGHT.items() for answer in answers]
        else:
            found = module.WRONG
        for number, row in enumerate(found):
            rows.append(pytest.param(*row, id=f"{sheet[3:]}-{row[0]}-{number}"))
    return rows


MUTANTS = [pytest.param(t, m, id=f"{named(t)}-{m.name}") for t in EVERY for m in t.misconceptions]


@pytest.mark.parametrize("task", EVERY, ids=named)
def test_the_oracle_passes(task):
    for seed in SEEDS:
        verdict = judge(task.id, task.oracle, seed)
        assert verdict.passed, verdict.message


def test_fifty_steps_learn_a_kernel_back_whatever_the_pictures_are():
    task = tasks.find("learn_kernel")
    learn = edited(task.answer, "fifty_steps", ["range(400) -> range(50)"])
    for seed in range(300):
        for case in task.cases(seed):
            far = learn(*case.args) - task.oracle(*case.args)
            assert far.abs().max() < task.absolute / 5


@pytest.mark.parametrize(("task", "misconception"), MUTANTS)
def test_a_misconception_is_rejected_with_its_own_sentence(task, misconception, record_property):
    for seed in SEEDS:
        verdict = judge(task.id, misconception.wrong, seed)
        assert not verdict.passed, "no case distinguishes this mistake from a right answer"
        assert verdict.misconception == misconception.name, verdict.message
        assert verdict.message.startswith(misconception.sentence)
    record_property("mutant", (named(task), misconception.name))


@pytest.mark.parametrize(("task_id", "answer"), dressed("right"))
def test_a_right_answer_in_unusual_dress_passes(task_id, answer):
    for seed in SEEDS if tasks.find(task_id).use != "training" else (None,):
        verdict = judge(task_id, answer, seed)
        assert verdict.passed, verdict.message


@pytest.mark.parametrize(("task_id", "answer", "words"), dressed("wrong"))
def test_a_wrong_answer_without_a_name_fails(task_id, answer, words):
    verdict = judge(task_id, answer)
    assert not verdict.passed
    assert words in verdict.message


@pytest.mark.parametrize("task", EVERY, ids=named)
def test_every_task_is_tried_in_unusual_dress(task):
    module = importlib.import_module(f"right_answers.{tasks.sheet_of(task)[3:]}")
    assert module.RIGHT.get(task.id), f"{module.__file__} has no RIGHT[{task.id!r}]"


def test_only_tasks_are_tried_in_unusual_dress():
    modules = [importlib.import_module(f"right_answers.{sheet[3:]}") for sheet in tasks.SHEETS]
    assert {task_id for module in modules for task_id in module.RIGHT} == {task.id for task in EVERY}


@pytest.mark.parametrize("task", EVERY, ids=named)
def test_a_task_is_well_made(task):
    assert task.id.isidentifier()
    assert task.kind in ("write", "bug", "predict")
    assert (task.broken is not None) == (task.kind == "bug" and task.accept is not None)
    assert {task.difficulty, task.importance} <= {1, 2, 3, 4, 5}
    assert task.minutes > 0
    assert task.points > 0
    assert len({m.name for m in task.misconceptions}) == len({m.sentence for m in task.misconceptions}) >= 3
    for sentence in [*task.hints, *(m.sentence for m in task.misconceptions)]:
        assert re.fullmatch(r"[A-Z`].*[.?)]", sentence), sentence


PREDICTED = [
    pytest.param(t, m, id=f"{named(t)}-{m.name}") for t in EVERY if t.kind == "predict" for m in t.misconceptions
]


@pytest.mark.parametrize(("task", "misconception"), PREDICTED)
def test_a_wrong_prediction_is_wrong_somewhere(task, misconception):
    """At least one number must be wrong; a right one beside it may tell two mistakes apart."""
    right, wrong = task.oracle(), misconception.wrong()
    if misconception.matches or not isinstance(wrong, dict):
        return  # recognised in another way
    assert wrong.keys() <= right.keys()
    assert [key for key in wrong if compare(plain(wrong[key]), plain(right[key]), task)]


@pytest.mark.parametrize("task", EVERY, ids=named)
def test_the_same_seed_gives_the_same_cases(task):
    assert repr(tuple(task.cases(1))) == repr(tuple(task.cases(1)))


@pytest.mark.parametrize("task", EVERY, ids=named)
def test_a_case_names_what_it_hands_in(task):
    """Messages name arguments as the oracle does, so its signature must take them."""
    if task.use != "module":
        for case in task.cases(0):
            inspect.signature(task.oracle).bind(*case.args, **case.kwargs)


def test_the_task_in_the_readme_is_one(tmp_path, monkeypatch):
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    imports = "import torch\nfrom exercise_checks.tasks.task import slips, task\n\n\n"
    (tmp_path / "readme_task.py").write_text(imports + code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    task = importlib.import_module("readme_task").row_sums
    monkeypatch.setattr(tasks, "find", lambda _: task)
    assert judge(task.id, task.answer).passed
    assert judge(task.id, lambda X: X @ torch.ones(X.shape[1])).passed
    for mistake in task.misconceptions:
        assert judge(task.id, mistake.wrong).message.startswith(mistake.sentence)


def test_all_three_kinds_are_there():
    for sheet in tasks.SHEETS:
        assert {task.kind for task in tasks.of_sheet(sheet)} == {"write", "bug", "predict"}, sheet


def test_ids_are_unique():
    ids = [task.id for task in EVERY]
    assert len(ids) == len(set(ids))
