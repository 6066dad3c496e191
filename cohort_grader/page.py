"""Render the templates to HTML pages, with every value escaped."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cohort_grader.submissions import readable
from exercise_checks.markup import with_code


def render(template: str, **values: object) -> str:
    """Return the page that a template in `templates/` gives with these values."""
    return _environment.get_template(template).render(values)


def printable(value: object) -> str:
    """Return a value as text with invisible characters made visible; `Markup` stays as it is.

    >>> printable("a\\u202eb")
    'a\\\\u202eb'
    """
    if isinstance(value, Markup):
        return value
    return readable(str(value).replace("\t", "    ").replace("\n", " "))


# jinja2 applies `finalize` to each value that a template shows, then escapes it.
_environment = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    finalize=printable,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["with_code"] = lambda line: with_code(printable(line))
