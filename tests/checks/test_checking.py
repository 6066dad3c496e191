"""check and judge: whatever a learner writes, the answer is a sentence, and the sheet goes on."""

import contextlib
import sys
import time
import types
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from exercise_checks import checking, judging, progress, tasks
from exercise_checks.checking import check, failing_case, hint, judge
from exercise_checks.judging import DifferenceKind, cases_of, compare, diagnose
from exercise_checks.running import child, observing
from exercise_checks.running.observing import Case, observe


def right(X, K):
    return F.conv2d(X[None, None], K[None, None])[0, 0]


@pytest.fixture(autouse=True)
def fresh_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(checking, "_hints_given", {})
    monkeypatch.setattr(checking, "_last_verdicts", {})
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "progress.sqlite3"))


def learner(source, name="corr2d"):
    """What a notebook cell defines: a function whose lines are known, in a file that is no library."""
    import linecache

    file = f"/tmp/ipykernel_1/{abs(hash(source))}.py"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    space = {"torch": torch, "F": F, "nn": nn, "right": right, "time": time, "sys": sys}
    exec(compile(source, file, "exec"), space)
    return space[name]


# The order of diagnosis: each answer has all faults that come later, too

ORDER = [
    ("def corr2d(X, K):\n    raise NotImplementedError", "Not written yet: Two loops."),
    (
        "def corr2d(X, K):\n    return X[100]",
        "raised IndexError at line 2: `return X[100]`: index 100 is out of bounds",
    ),
    ("def corr2d(X, K):\n    X += 1\n    right(X, K)", "returned None. Is the line with `return` missing?"),
    ("def corr2d(X, K):\n    X += 1\n    return X.tolist()", "got a tuple or list of 3 values. Make one tensor"),
    ("def corr2d(X, K):\n    X += 1\n    return X.double()", "the shape is 3×3, must be 2×2."),
    ("def corr2d(X, K):\n    X += 1\n    return right(X, K).double()", "the dtype is float64, must be float32."),
    (
        "def corr2d(X, K):\n    X += 1\n    return right(X, K)",
        "4 of 4 values are wrong. The first is at [0, 0]: expected",
    ),
    ("def corr2d(X, K):\n    Y = right(X.data, K.data)\n    X *= 0\n    return Y", "X was changed. Work on a copy"),
    ("def corr2d(X, K):\n    return right(X.data, K.data)", "no gradient flows back to X"),
    ("def corr2d(X, K):\n    return right(X, K.data)", "no gradient flows back to K"),
    ("def corr2d(X, K):\n    return 2 * right(X, K.data / 2)", "no gradient flows back to K"),
    (
        "def corr2d(X, K):\n    return torch.tensor(right(X, K).numpy())",
        "Can't call numpy() on Tensor that requires grad",
    ),
]


@pytest.mark.parametrize(("source", "words"), ORDER)
def test_the_first_thing_that_is_wrong_is_said(source, words):
    verdict = judge("corr2d", learner(source))
    assert not verdict.passed
    assert words in verdict.message


def test_what_kind_of_difference_it_is_needs_no_reading():
    kinds = [verdict.difference and verdict.difference.kind.name for verdict in judged(ORDER)]
    assert kinds == [
        None, "FAILED", "RETURNED_NONE", "TYPE", "SHAPE", "DTYPE", "VALUE", "CHANGED_ARGUMENT", "NO_GRADIENT",
        "NO_GRADIENT", "NO_GRADIENT", "FAILS_WITH_GRADIENT",
    ]  # fmt: skip
    task = tasks.find("corr2d")
    pairs = {"LENGTH": ((1,), (1, 2)), "MISSING": ({}, {"a": 1}), "EXTRA": ({"a": 1}, {}), "VALUE": (3, 4)}
    for name, (got, want) in pairs.items():
        assert compare(got, want, task).kind is DifferenceKind[name]


def judged(rows):
    return [judge("corr2d", learner(source)) for source, _ in rows]


TWO_MISTAKES = [
    ("flipped", "Y[i, j] = (X[i : i + h, j : j + w] * K.flip(0, 1)).sum().item()"),
    ("matrix_product", "Y[i, j] = (X[i : i + h, j : j + w] @ K).sum()"),
    ("mean_for_sum", "Y[i, j] = (X[i : i + h, j : j + w] * K).mean()"),
]


@pytest.mark.parametrize(("name", "line"), TWO_MISTAKES)
def test_a_mistake_is_known_when_others_come_with_it(name, line):
    """Y is float32 whatever X is, and in the first case no gradient gets through."""
    source = f"""def corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            {line}
    return Y"""
    assert judge("corr2d", learner(source)).misconception == name


def test_two_errors_of_one_kind_are_told_apart_by_their_words():
    source = """def learn_kernel(X, Y, kernel_size):
    {}"""
    anew = """K = torch.zeros(kernel_size, requires_grad=True)
    for _ in range(3):
        ((F.conv2d(X[None, None], K[None, None])[0, 0] - Y) ** 2).mean().backward()
        with torch.no_grad():
            K = K - K.grad"""
    assert judge("learn_kernel", learner(source.format(anew), "learn_kernel")).misconception == "new_tensor"
    other = judge("learn_kernel", learner(source.format("return X @ Y[:3]"), "learn_kernel"))
    assert "raised RuntimeError" in other.message
    assert other.misconception is None


def test_a_wrong_gradient_is_found():
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, X):
            return X.clone()

        @staticmethod
        def backward(ctx, gradient):
            return 2 * gradient

    verdict = judge("corr2d", lambda X, K: right(Doubled.apply(X), K))
    assert "the gradient for X is wrong: " in verdict.message


def test_not_written_yet_is_no_failure():
    verdict = judge("corr2d", learner(ORDER[0][0]))
    assert (verdict.passed, verdict.written, verdict.misconception) == (False, False, None)


def test_not_implemented_on_one_case_only_is_an_error():
    source = (
        "def corr2d(X, K):\n    if X.shape[0] > X.shape[1]:\n        raise NotImplementedError\n    return right(X, K)"
    )
    verdict = judge("corr2d", learner(source))
    assert verdict.written
    assert "On a tall picture" in verdict.message
    assert "raised NotImplementedError at line 3" in verdict.message


def test_the_first_wrong_pixel_comes_with_its_window_and_both_pictures():
    verdict = judge("corr2d", learner("def corr2d(X, K):\n    Y = right(X, K)\n    return Y + (Y == 37)"))
    assert verdict.message == (
        "On the small picture of lesson 1 (X is 3×3, K is 2×2): 1 of 4 values is wrong. The first is at [1, 0]: "
        "expected 37, got 38. It is made of X[1:3, 0:2] = [[3, 4], [6, 7]]."
    )
    drawn = checking.picture(verdict)
    assert drawn.alt == (
        "Target beside yours: target output 2x2 [19 25; 37 43]; your output 2x2 [19 25; 38 43]; "
        "yours minus target 2x2 [0 0; 1 0]"
    )


def test_an_error_shows_the_learners_line_and_no_library():
    source = "def help(X):\n    return torch.cat([X, X[0]])\n\ndef corr2d(X, K):\n    return help(X)"
    verdict = judge("corr2d", learner(source))
    assert "at line 2: `return torch.cat([X, X[0]])`: " in verdict.message
    assert "site-packages" not in verdict.message


def test_what_was_printed_on_the_failing_case_is_shown_and_capped(capsys):
    verdict = judge("corr2d", learner("def corr2d(X, K):\n    print('rows', len(X))\n    return X"))
    assert verdict.message.splitlines()[-1] == "Your code printed: rows 3"
    loud = judge("corr2d", learner("def corr2d(X, K):\n    print('x' * 10**7)\n    return X"))
    assert len(loud.message) < 3000
    assert capsys.readouterr().out == ""


class Hostile:
    """Raises whenever it is touched."""

    def __getattribute__(self, *_):
        raise RuntimeError("touched")

    __eq__ = __bool__ = __len__ = __iter__ = __repr__ = __str__ = __float__ = __hash__ = __getattribute__


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError


class Equal(torch.Tensor):
    """Claims to be equal to everything."""

    @classmethod
    def __torch_function__(cls, function, kinds, args=(), kwargs=None):
        if function in (torch.Tensor.eq, torch.Tensor.ne, torch.isclose, torch.allclose, torch.equal):
            return torch.tensor(True)
        return super().__torch_function__(function, kinds, args, kwargs or {})


class SilentExit(Exception):
    """Saying what went wrong ends the process."""

    def __str__(self):
        sys.exit()


class Nameless(type):
    """Classes whose name is no text."""

    @property
    def __name__(cls):
        return Hostile()


class NamelessError(Exception, metaclass=Nameless):
    pass


class Endless(torch.Tensor):
    """Answers for every operation on it, and never comes to an end."""

    @classmethod
    def __torch_function__(cls, *_, **__):
        while True:
            pass


class Wrapped(torch.Tensor):
    """Has no memory of its own: what is done to it raises."""

    @staticmethod
    def __new__(cls):
        return torch.Tensor._make_wrapper_subclass(cls, (2, 2))

    @classmethod
    def __torch_dispatch__(cls, *_, **__):
        raise SystemExit


def closes_the_output(X, K):
    sys.stdout.close()
    sys.stderr.close()
    return X


def becomes_endless(X, K):
    X.__class__ = Endless
    return X


def without_end(X, K):
    sys.setrecursionlimit(10**9)
    return nn.Sequential(recursion)(X) if X is None else without_end(X, K)


def cycle():
    found = []
    found.append(found)
    return found


def deep():
    found = []
    for _ in range(100_000):
        found = [found]
    return found


def recursion(X, K):
    return recursion(X, K)


def raises(error):
    def corr2d(X, K):
        raise error

    return corr2d


def warns(X, K):
    warnings.warn("careful", stacklevel=1)
    return X


def nested():
    with warnings.catch_warnings(action="ignore"):  # torch says that nested tensors are a prototype
        return torch.nested.nested_tensor([torch.ones(2), torch.ones(2)])


@cache
def values():
    """One of each; made when needed, since pytest looks at whatever stands in a module."""
    return [
        None, True, 3, 2.5, "text", b"bytes", float("nan"), object(), Hostile(), Hostile, cycle(), deep(), {},
        {1: cycle()}, iter([1]), torch.ones(2, 2).to_sparse(), torch.ones(2, 2, device="meta"), torch.ones(0),
        torch.ones(2, 2, dtype=torch.complex64), torch.full((2, 2), float("nan")), torch.zeros(1).expand(10**15),
        torch.ones(2, 2).as_subclass(Equal), torch.tensor(1.0), nn.Linear(1, 1), type, range(10**9),
        types.SimpleNamespace(), {0: Hostile()}, 10**5000, "x" * 10**6, "\ud800", {"\ud800": 1}, NamelessError(),
        torch.ones(2, 2).as_subclass(Endless), Wrapped(), nested(),
    ]  # fmt: skip


@cache
def functions():
    errors = [SystemExit(0), KeyboardInterrupt(), GeneratorExit(), MemoryError(), Unspeakable(), StopIteration(),
              BaseException("x"), ExceptionGroup("g", [ValueError()]), SilentExit(), NamelessError(),
              ValueError("\ud800"), KeyError(Hostile())]  # fmt: skip
    return [
        *[lambda X, K, value=value: value for value in values()], *values(), *map(raises, errors),
        recursion, warns, lambda: 1, lambda X: X, lambda X, K, more: X, sys.exit,
        lambda X, K: X.resize_(0), lambda X, K: X.requires_grad_(), lambda X, K: setattr(X, "data", torch.ones(1)),
        lambda X, K: torch.set_grad_enabled(False), lambda X, K: torch.set_default_dtype(torch.float64),
        lambda X, K: torch.set_default_device("meta"), lambda X, K: print("\ud800"), closes_the_output,
        becomes_endless, without_end, lambda X, K: torch.inference_mode().__enter__(),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(len(functions())))
def test_nothing_that_is_handed_in_makes_check_raise(number, capsys):
    check("corr2d", functions()[number])
    said = capsys.readouterr().out
    assert said.startswith("Not yet. ")
    assert "cannot be checked" not in said
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert torch.empty(0).device.type == "cpu"
    assert sys.setrecursionlimit.__module__ == "sys"


@pytest.mark.parametrize("task", tasks.every(), ids=lambda task: task.id)
def test_no_task_stumbles_over_an_answer_of_the_wrong_form(task):
    for value in values():
        verdict = judge(task.id, value if task.use == "module" else lambda *_, value=value, **__: value)
        assert not verdict.passed
        assert verdict.message
        assert "cannot be checked" not in verdict.message, verdict.message


def test_a_broken_checker_would_still_not_raise(monkeypatch):
    monkeypatch.setattr("exercise_checks.judging.diagnose", raises(ZeroDivisionError()))
    assert "looking at it raised TypeError." in judge("corr2d", right).message


@pytest.mark.parametrize("number", range(6))
def test_an_unknown_task_is_a_sentence(number, capsys):
    task_id = ["corr2", "", None, 3, ["corr2d"], Hostile()][number]
    verdict = judge(task_id, right)
    assert not verdict.passed
    assert "task_id" in verdict.message
    check(task_id, right)
    hint(task_id)
    assert capsys.readouterr().out.count("task_id") == 2


LOOPS = [
    "while True:\n        pass",
    "while True:\n        try:\n            X = X + 1\n        except:\n            pass",
    "while True:\n        try:\n            time.sleep(0.01)\n        except BaseException:\n            continue",
    "time.sleep(60)",
    "while True:\n        print('again')",
    "X[0] = 1\n\ndef corr2d(X, K):\n    while X is not None: pass",
]


@pytest.mark.parametrize("body", LOOPS)
def test_a_loop_that_never_ends_is_interrupted_with_a_sentence(body, monkeypatch):
    task = replace(tasks.find("corr2d"), seconds=0.3)
    monkeypatch.setattr(tasks, "find", lambda _: task)
    begun = time.monotonic()
    verdict = judge("corr2d", learner(f"def corr2d(X, K):\n    {body}"), observe=child.observe)
    assert time.monotonic() - begun < 5
    assert "was still running after 0.3 s at line " in verdict.message
    assert "Does every loop end?" in verdict.message


def test_a_warning_costs_nothing_whatever_is_done_with_warnings_here():
    def warns_and_is_right(X, K):
        warnings.warn("careful", stacklevel=1)
        return right(X, K)

    with warnings.catch_warnings(action="error"):
        assert judge("corr2d", warns_and_is_right).passed


def test_answers_that_are_missing_never_pass():
    task = tasks.find("corr2d")
    cases = cases_of(task, 0)
    seen = observe("call", right, cases)
    assert diagnose(task, cases, seen).passed
    assert not diagnose(task, cases, seen[:-1]).passed
    assert not diagnose(task, cases, []).passed
    assert not diagnose(task, cases, [*seen, seen[0]]).passed


def test_torchs_random_numbers_are_left_as_they_were():
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    judge("corr2d", lambda X, K: torch.rand(2, 2))
    assert torch.equal(torch.rand(2), expected)


@contextlib.contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


SETTINGS = [default_dtype, default_device, torch.no_grad, torch.inference_mode, lambda: torch.device("meta")]


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_was_set_in_the_notebook_before_changes_no_verdict_and_stays(setting):
    judging.cases_of.cache_clear()
    judging.shown.cache_clear()
    with setting():
        before = torch.empty(0), torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        assert judge("corr2d", right).passed
        assert judge("corr2d", lambda X, K: right(X, K.flip(0, 1))).misconception == "flipped"
        after = torch.empty(0), torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    assert before[1:] == after[1:]
    assert (before[0].dtype, before[0].device) == (after[0].dtype, after[0].device)


def test_inputs_that_a_learner_changes_do_not_reach_the_next_case_or_the_oracle():
    def vandal(X, K):
        answer = right(X, K)
        X.zero_()
        K.zero_()
        return answer

    first, second = judge("corr2d", vandal), judge("corr2d", vandal)
    assert first.message == second.message
    assert "X and K was changed" in first.message or "X and K were changed" in first.message
    assert judge("corr2d", right).passed


# Hints, failing cases, what is shown


def test_hints_come_one_after_the_other_and_then_the_solution(capsys):
    for _ in range(4):
        hint("corr2d")
    said = capsys.readouterr().out.splitlines()
    first, second = tasks.find("corr2d").hints
    end = "No more hints. The solution, and why it works: solutions/01_corr2d.ipynb"
    assert said == [f"Hint 1 of 2. {first}", f"Hint 2 of 2. {second}", end, end]


def test_the_failing_case_can_be_tried_by_hand(capsys):
    def flat(X, K):
        return right(X, K) if X.shape[0] == X.shape[1] else X

    check("corr2d", flat)
    X, K = failing_case("corr2d")
    assert X.shape == (3, 6)
    assert flat(X, K).shape != right(X, K).shape
    check("corr2d", right)
    with pytest.raises(LookupError, match="no failing case of 'corr2d' is known"):
        failing_case("corr2d")
    capsys.readouterr()


def test_a_report_is_a_card_in_a_notebook_and_text_elsewhere():
    report = checking.Report(judge("corr2d", lambda X, K: right(X, K.flip(0, 1))))
    bundle, _ = report._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Not yet. Your kernel is flipped: this is convolution.")
    assert "<p>Not yet. Your kernel is flipped" in bundle["text/html"]
    assert (
        'alt="Target beside yours: target output 2x2 [19 25; 37 43]; your output 2x2 [5 11; 23 29]; '
        in bundle["text/html"]
    )


def test_of_many_printed_lines_the_first_are_shown():
    verdict = judge("corr2d", learner("def corr2d(X, K):\n    print(*range(500), sep='\\n')\n    return X"))
    assert verdict.message.endswith("\nYour code printed: 0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n…")


def test_what_was_printed_keeps_its_lines_in_the_card():
    source = "def corr2d(X, K):\n    print('row 0')\n    print('<b>row</b> 1')\n    return X"
    page = checking.Report(judge("corr2d", learner(source)))._repr_mimebundle_()[0]["text/html"]
    assert "<p>Your code printed:</p><pre>row 0\n&lt;b&gt;row&lt;/b&gt; 1</pre>" in page


ODD_VALUES = [float("nan"), float("inf"), -float("inf"), 1e38, 1e-38, 1 / 3]
DTYPES = [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]


@pytest.mark.parametrize("value", ODD_VALUES)
def test_whatever_came_out_can_be_drawn(value):
    page = checking.Report(judge("corr2d", lambda X, K: torch.full_like(right(X, K), value)))._repr_mimebundle_()[0]
    assert "<img" in page["text/html"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_difference_in_any_dtype_can_be_drawn(dtype):
    want, got = torch.eye(2).to(dtype), torch.zeros(2, 2).to(dtype)
    difference = compare(got, want, tasks.find("corr2d"))
    page = checking.Report(judging.Verdict(False, difference.sentence, difference=difference))._repr_mimebundle_()[0]
    assert "<img" in page["text/html"]


def test_what_a_learner_wrote_is_escaped_in_the_card():
    report = checking.Report(judge("corr2d", raises(ValueError("<script>alert(1)</script>"))))
    page = report._repr_mimebundle_()[0]["text/html"]
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_stressed_word_is_stressed_in_the_card():
    verdict = judge("learn_kernel", lambda X, Y, size: torch.ones(size).requires_grad_() * 5)
    assert "*mean*" in verdict.message
    page = checking.Report(verdict)._repr_mimebundle_()[0]["text/html"]
    assert "is the error the <em>mean</em> of the <em>squared</em> differences" in page


def test_check_returns_nothing_and_notes_the_result(capsys):
    assert check("corr2d", lambda X, K: X) is None
    assert check("corr2d", right) is None
    assert progress.load()["corr2d"].passed
    assert progress.load()["corr2d"].tries == 2
    check("learn_kernel", learner("def learn_kernel(*_):\n    raise NotImplementedError", "learn_kernel"))
    assert "learn_kernel" not in progress.load()
    assert "Passed: Two loops." in capsys.readouterr().out


# Comparing


def test_values_are_compared_whole():
    task = tasks.find("corr2d")
    one, double, whole, nan = torch.ones(1), torch.ones(1).double(), torch.tensor([1, 2]), torch.tensor([float("nan")])
    same = [(3, 3.0), ((1, 2), (1, 2)), ({"a": (1,)}, {"a": (1,)}), (one, one.clone()), ("a", "a")]
    different = [
        (3, 4), (True, 1), ((1, 2), (1, 3)), ((1,), (1, 2)), ({"a": 1}, {"a": 2}), ({}, {"a": 1}), (float("nan"), 1.0),
        ({"a": 1, "b": 1}, {"a": 1}), (one, torch.ones(2)), (one, double), (whole, whole + 1), (nan, one), (1, "1"),
        (None, 1), (1.0, one), (one / 0, one), (torch.tensor([True]), torch.tensor([False])),
    ]  # fmt: skip
    assert all(compare(got, want, task) is None for got, want in same)
    assert all(compare(got, want, task).sentence.endswith(".") for got, want in different)


def test_observing_tells_what_was_seen_and_judges_nothing():
    X = torch.arange(4.0).reshape(2, 2)
    seen, failed = observe("call", lambda X, n: X * 2 / n, [Case("two", (X, 1)), Case("none", (X, "0"))], seconds=5)
    assert torch.equal(seen.value, 2 * X)
    assert torch.equal(seen.gradients[0], 2 * torch.cos(torch.arange(4.0)).reshape(2, 2))
    assert failed.failure.error == "TypeError"


def test_an_error_inside_the_course_names_the_learners_own_line():
    wrong = learner("def corr2d(X, K):\n    from course_utils import ops\n    return ops.corr2d(X[0], K)")
    [seen] = observe("call", wrong, [Case("one", (torch.ones(3, 3), torch.ones(2, 2)))])
    assert seen.failure.error == "ValueError"
    assert seen.failure.line == "line 3: `return ops.corr2d(X[0], K)`"


def test_a_file_beside_the_packages_of_the_course_is_a_learners():
    repository = Path(observing.__file__).parents[2]
    for name in ("mine.py", "notebooks/mine.py", "course_utils_of_mine.py"):
        assert observing._own_line([(str(repository / name), 7)]) == "line 7"
    for name in ("course_utils/ops.py", "exercise_checks/judging/verdict.py", "cohort_grader/cells.py"):
        assert observing._own_line([(str(repository / name), 7)]) == ""
