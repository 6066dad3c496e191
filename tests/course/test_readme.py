"""The README says what is so: its picture, its map, its links and its commands."""

import json
import re
from pathlib import Path

import torch

from course_utils import plotting

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_lesson_stands_on_the_map_with_its_title_and_in_order():
    titles = {}
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
        titles[f"notebooks/{path.name}"] = re.match(r"# (.+)", first)[1]
    rows = re.findall(r"^\| \[(.+?)\]\((notebooks/\S+?)\)", README, flags=re.M)
    assert {link: title for title, link in rows} == titles
    assert [link for _, link in rows] == sorted(titles)


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README) + re.findall(r'src="([^"]+)"', README)
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_the_picture_is_what_its_description_says():
    X, K = torch.arange(9).reshape(3, 3), torch.tensor([[0, 1], [2, 3]])
    drawn = plotting.animate_window(X, K)
    stored, alt = re.search(r'<img src="([^"]+)" [^>]*alt="([^"]+)"', README).groups()
    assert drawn.alt == alt
    assert plotting.Picture((ROOT / stored).read_bytes(), alt).size == drawn.size


def test_the_commands_are_those_of_course_py():
    known = re.findall(r"python3 course\.py (\w+)", (ROOT / "course.py").read_text(encoding="utf-8"))
    assert set(re.findall(r"course\.py (\w+)", README)) == set(known)


def test_the_handbook_and_the_lessons_name_only_these_commands():
    """Whoever has an environment of one's own finds the form with `python -m` once, in the README."""
    texts = [*ROOT.glob("instructor/**/*.md"), *ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("solutions/*.ipynb")]
    known = re.findall(r"python3 course\.py (\w+)", (ROOT / "course.py").read_text(encoding="utf-8"))
    for path in texts:
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"python3? -m (?:course_utils|exercise_checks|cohort_grader)", text), path
        assert set(re.findall(r"course\.py (\w+)", text)) <= set(known), path
    own = re.findall(r"python3? -m ((?:course_utils|exercise_checks|cohort_grader)[^`]*)", README)
    assert own == ["course_utils doctor"]
