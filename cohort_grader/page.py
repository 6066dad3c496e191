"""HTML for reports: self-contained pages in which everything that comes from outside is text."""

import html
import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from cohort_grader.submissions import readable

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1b1b1b; --quiet: #5a5a5a; --line: #d5d5d5; --card: #f6f6f6;
  --good: #00714f; --bad: #b34700; --open: #6a6a6a; --mark: #ffe2cc; --link: #005a9c; }
@media (prefers-color-scheme: dark) { :root { --ground: #16181a; --ink: #e8e8e8; --quiet: #a8a8a8; --line: #3c4043;
  --card: #202326; --good: #3ecf9f; --bad: #ff9a5c; --open: #a0a0a0; --mark: #5a3313; --link: #7cc0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 46rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
body.wide { max-width: 80rem; }
h1 { font-size: 1.5rem; margin: 0.5rem 0 0; } h2 { font-size: 1.1rem; margin: 1.8rem 0 0.5rem; }
h3 { font-size: 1rem; margin: 0; } p { margin: 0.4rem 0; } a { color: var(--link); }
code, .numbers { font-family: ui-monospace, monospace; font-size: 0.9em; }
code { background: var(--card); padding: 0 0.2em; white-space: pre-wrap; }
.who, .how, small { color: var(--quiet); } .how { font-size: 0.9rem; } .score { font-size: 1.15rem; }
.card { border-left: 5px solid var(--open); background: var(--card); padding: 0.6rem 0.9rem; margin: 0.9rem 0; }
.card.passed { border-color: var(--good); } .card.wrong { border-color: var(--bad); }
.head { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; }
.card code { background: none; padding: 0; font-weight: 600; }
.passed .state, td.passed { color: var(--good); } .wrong .state, td.wrong { color: var(--bad); }
.unwritten .state, td.unwritten { color: var(--open); } .state { font-weight: 600; white-space: nowrap; }
.pair { display: flex; flex-wrap: wrap; gap: 0.6rem 2rem; margin-top: 0.6rem; } .pair > div { overflow-x: auto; }
table { border-collapse: collapse; }
caption { text-align: left; white-space: nowrap; color: var(--quiet); font-size: 0.85rem; }
.numbers td { border: 1px solid var(--line); padding: 0.15rem 0.45rem; text-align: right; white-space: nowrap;
  overflow-wrap: normal; }
.numbers td.off { background: var(--mark); font-weight: 700; }
.scroll { overflow-x: auto; } .grades { font-size: 0.9rem; min-width: 100%; overflow-wrap: normal; }
.grades th, .grades td { border-bottom: 1px solid var(--line); padding: 0.3rem 0.6rem; text-align: left;
  vertical-align: top; }
.grades td { white-space: nowrap; } .grades td.flags { white-space: normal; min-width: 16rem; overflow-wrap: anywhere; }
.grades thead th { background: var(--card); font-weight: 600; }
.grades tbody th { font-weight: 400; background: var(--ground); max-width: 16rem; overflow-wrap: break-word; }
.grades th:first-child { position: sticky; left: 0; }
""".strip()
STRESSED = re.compile(r"(?<![\w*])\*(\w[^*]*?(?<=\w))\*(?![\w*])")
STATES = {"passed": "passed", "wrong": "not yet", "unwritten": "not written"}


def whole(title: str, parts: Iterable[str], wide: bool = False) -> str:
    """Return a page. Its policy forbids scripts, links to elsewhere for pictures or fonts, and forms."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    head = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n"
    )
    body = "\n".join(parts)
    return f"{head}<body{' class=wide' if wide else ''}>\n{body}\n</body>\n</html>\n"


def card(kind: str, title: str, points: str, lines: Sequence[str], more: str = "") -> str:
    """Return one task's box; `lines` are plain text, what stands between backticks becomes code."""
    state = f"{STATES[kind]}{f' · {text(points)}' if points else ''}"
    paragraphs = "".join(f"<p>{with_code(line)}</p>" for line in lines)
    head = f"<div class=head><h3>{text(title)}</h3><span class=state>{state}</span></div>"
    return f"<section class='card {kind}'>{head}{paragraphs}{more}</section>"


def tables(target: Sequence[Sequence[str]], yours: Sequence[Sequence[str]]) -> str:
    """Return two tables of numbers side by side; where they differ, the second says so."""
    wanted = "".join(f"<tr>{''.join(f'<td>{text(n)}</td>' for n in row)}</tr>" for row in target)
    given = ""
    for row, right in zip(yours, target, strict=True):
        cells = (f"<td{'' if a == b else ' class=off'}>{text(a)}</td>" for a, b in zip(row, right, strict=True))
        given += f"<tr>{''.join(cells)}</tr>"
    named = {"target output": wanted, "your output": given}
    boxes = (f"<div><table class=numbers><caption>{name}</caption>{rows}</table></div>" for name, rows in named.items())
    return f"<div class=pair>{''.join(boxes)}</div>"


def text(words: str) -> str:
    """Return words for HTML: no tag, no attribute, no character that cannot be seen.

    >>> text("<b>\\u202e")
    '&lt;b&gt;\\\\u202e'
    """
    return html.escape(readable(words.replace("\t", "    ").replace("\n", " ")), quote=True)


def with_code(line: str) -> str:
    """Return a line for HTML; what stands between backticks becomes code, and *what stands between stars* is stressed.

    >>> with_code("Take *all* of `a*b*c`, not 2*3*4.")
    'Take <em>all</em> of <code>a*b*c</code>, not 2*3*4.'
    """
    parts = text(line).split("`")
    return "".join(
        f"<code>{part}</code>" if i % 2 else STRESSED.sub(r"<em>\1</em>", part) for i, part in enumerate(parts)
    )


def link(name: str) -> str:
    """Return a file name for use in a link."""
    return quote(name, safe="")
