"""The environment in which the templates become pages: everything that comes from outside is text in them."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from cohort_grader.submissions import readable

STRESSED = re.compile(r"(?<![\w*])\*(\w[^*]*?(?<=\w))\*(?![\w*])")


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


def with_code(line: str) -> Markup:
    """Return a line for HTML; what stands between backticks becomes code, and *what stands between stars* is stressed.

    >>> print(with_code("Take *all* of `a*b*c`, not 2*3*4."))
    Take <em>all</em> of <code>a*b*c</code>, not 2*3*4.
    """
    parts = str(escape(printable(line))).split("`")
    stressed = (f"<code>{part}</code>" if i % 2 else STRESSED.sub(r"<em>\1</em>", part) for i, part in enumerate(parts))
    return Markup("".join(stressed))


# `finalize` is applied to each value that a template shows, and then the value is escaped.
_environment = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    finalize=printable,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["with_code"] = with_code
