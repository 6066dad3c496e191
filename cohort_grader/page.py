"""The environment in which the templates become pages: everything that comes from outside is text in them."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cohort_grader.submissions import readable
from exercise_checks.markup import with_code


def render(template: str, **values: object) -> str:
    """Return the page that a template in `templates/` makes of these values."""
    return _environment.get_template(template).render(values)


def printable(value: object) -> str:
    """Return a value as text without a character that cannot be seen; markup made here stays as it is.

    >>> printable("a\\u202eb")
    'a\\\\u202eb'
    """
    if isinstance(value, Markup):
        return value
    return readable(str(value).replace("\t", "    ").replace("\n", " "))


# `finalize` is applied to each value that a template shows, and then the value is escaped.
_environment = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    finalize=printable,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["with_code"] = lambda line: with_code(printable(line))
