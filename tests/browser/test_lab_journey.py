"""A learner's way through JupyterLab: a lesson, a widget, a mistake in a sheet and its name, progress in the end."""

import re

import lab

FLIPPED = """\
def corr2d(X, K):
    K = K.flip(0, 1)
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1, dtype=X.dtype)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y"""
MENDED = FLIPPED.replace("    K = K.flip(0, 1)\n", "")


def test_a_learner_errs_mends_and_sees_it_counted(journey):
    page = journey.page
    with journey.step("the map, where the README's command leads"):
        page.goto(journey.server.address())
        lab.Notebook(page, "notebooks/00_start_here.ipynb")

    with journey.step("lesson 1: an answer unfolds when it is run"):
        lesson = journey.follow("1 · One loop: cross-correlation", "notebooks/01_corr2d.ipynb")
        answer = lesson.output("slide-see").locator("img")
        lesson.cell("slide-see").locator(".jp-Placeholder").wait_for()
        assert answer.count() == 0
        lesson.run("setup")
        lesson.run("slide-see")
        answer.wait_for()
        assert answer.get_attribute("alt").startswith("Window at (0, 0)")

    with journey.step("lesson 1: all of it runs"):
        lesson.run_all()
        assert lesson.errors() == []
        assert lesson.panel.locator(".jp-Placeholder").count() == 0  # nothing is folded any more
        journey.look("lesson-top", lesson.cell("title"))
        journey.look("lesson-picture", lesson.cell("slide-film"))

    with journey.step("lesson 3: a widget follows the arrow keys"):
        page.locator(".jp-DirListing-item").get_by_text("03_padding_stride.ipynb").dblclick()
        padding = lab.Notebook(page, "notebooks/03_padding_stride.ipynb")
        padding.run("setup")
        padding.run("knobs-widget")
        widget = padding.output("knobs-widget")
        widget.get_by_role("slider").focus()
        for place in ("(0, 1)", "(0, 2)"):
            page.keyboard.press("ArrowRight")
            widget.locator(f'img[alt^="Window at {place}"]').wait_for()
        assert "Window 2 of 0 to 24" in widget.get_by_role("status").inner_text()
        assert padding.errors() == []
        journey.look("widget", widget)

    with journey.step("sheet 1: a flipped kernel is called by its name"):
        page.locator(".lm-DockPanel-tabBar").get_by_text("01_corr2d.ipynb").click()
        sheet = journey.follow("sheet 1", "exercises/01_corr2d.ipynb")
        sheet.run("setup")
        sheet.write("corr2d", FLIPPED.replace(":", "", 1))
        sheet.run("corr2d")
        assert "SyntaxError" in "".join(sheet.errors())  # so this is where an error would be found
        sheet.write("corr2d", FLIPPED)
        sheet.run("corr2d")
        sheet.run("corr2d-check")
        report = sheet.output("corr2d-check")
        report.get_by_text("Your kernel is flipped").wait_for()
        journey.look("failed-check", report)

    with journey.step("sheet 1: mended, it passes"):
        sheet.write("corr2d", MENDED)
        sheet.run("corr2d")
        sheet.run("corr2d-check")
        report.get_by_text("Passed: Two loops.").wait_for()
        assert sheet.errors() == []
        journey.look("passed-check", report)

    with journey.step("the map counts it"):
        start = journey.follow("The map", "notebooks/00_start_here.ipynb")
        counted = start.output("progress-see").get_by_role("row").filter(has_text="01_corr2d")
        assert "0 of" in counted.inner_text()
        start.run("progress-see")
        counted.get_by_text("1 of").wait_for()
        assert start.errors() == []
        journey.look("progress", start.output("progress-see"))

    assert re.match(r"01_corr2d +1 of", journey.server.python("-m", "exercise_checks", "progress"))
