"""Text for HTML: what anybody wrote stays text; `code` and *stressed* words get their tags."""

import re

from markupsafe import Markup, escape

STRESSED = re.compile(r"(?<![\w*])\*(\w[^*]*?(?<=\w))\*(?![\w*])")


def with_code(line: str) -> Markup:
    """Return a line for HTML; what stands between backticks becomes code, and *what stands between stars* is stressed.

    >>> print(with_code("Take *all* of `a*b*c`, not 2*3*4 <b>."))
    Take <em>all</em> of <code>a*b*c</code>, not 2*3*4 &lt;b&gt;.
    """
    parts = str(escape(line)).split("`")
    tagged = (f"<code>{part}</code>" if i % 2 else STRESSED.sub(r"<em>\1</em>", part) for i, part in enumerate(parts))
    return Markup("".join(tagged))
