"""What the site does beyond its settings: it brings the course's texts in, folds answers, and adds links."""

import json
import os
from pathlib import Path
from urllib.parse import quote, urlsplit

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.addnodes import pending_xref
from sphinx.transforms import SphinxTransform

ROOT = Path(__file__).resolve().parent.parent
BROUGHT_IN = ("notebooks/[0-9][0-9]_*.ipynb", "exercises/[0-9][0-9]_*.ipynb", "instructor/**/*.md")


def bring_in(app):
    """Copy the texts into folders of the same name here, so that links between them hold. Git ignores the copies."""
    site = Path(app.srcdir)
    found = {path.relative_to(ROOT): path for pattern in BROUGHT_IN for path in ROOT.glob(pattern)}
    for folder in {pattern.partition("/")[0] for pattern in BROUGHT_IN}:
        for old in (site / folder).rglob("*"):
            if old.suffix in (".ipynb", ".md") and old.relative_to(site) not in found:
                old.unlink()
    for name, path in found.items():
        text = path.read_text(encoding="utf-8")
        write(site / name, for_the_page(text) if path.suffix == ".ipynb" else text)


def for_the_page(notebook):
    """Mark folded outputs in myst-nb's own way, and leave out what one can do in JupyterLab alone."""
    nb = json.loads(notebook)
    for cell in nb["cells"]:
        if cell["metadata"].get("jupyter", {}).get("outputs_hidden"):
            cell["metadata"].setdefault("tags", []).append("hide-output")
        cell["source"] = "".join(cell["source"]).replace("</b> (double-click to write)</summary>", "</b></summary>")
    return json.dumps(nb, ensure_ascii=False)


def write(path, text):
    """Write a file whole or not at all, and only if it is new: Sphinx reads again what has changed."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8", newline="\n")
    os.replace(part, path)


def open_answer(translator, node):
    translator.body.append(f'<details class="answer"><summary>{translator.encode(node["prompt_show"])}</summary>\n')


def close_answer(translator, node):
    translator.body.append("</details>\n")


class FromTheCourse(SphinxTransform):
    """Let links and pictures lead to files of the course that are no pages.

    A page stands where its text stands in the course. A link to a file leads to the repository where that is known, and
    else is no link. What is not in the course either, Sphinx warns of.
    """

    default_priority = 400

    def apply(self):
        here = (ROOT / self.env.docname).parent
        for image in self.document.findall(nodes.image):
            path = here / image["uri"]
            if path.is_file() and not Path(self.env.srcdir, here.relative_to(ROOT), image["uri"]).exists():
                image["uri"] = Path(os.path.relpath(path, Path(self.env.doc2path(self.env.docname)).parent)).as_posix()
        for link in list(self.document.findall(pending_xref)):
            path = Path(os.path.normpath(here / link["reftarget"].partition("#")[0]))
            if link["reftype"] == "myst" and not link.get("refdomain") and path.is_relative_to(ROOT) and path.exists():
                link.replace_self(self.to_repository(path, link.children))

    def to_repository(self, path, words):
        address = self.config.repository
        if not address:
            return words
        where = quote(path.relative_to(ROOT).as_posix())
        return nodes.reference("", "", *words, refuri=f"{address}/blob/HEAD/{where}", internal=False)


def add_launch_links(app, page, template, context, doctree):
    context["launch"] = launch_links(page, app.config.repository.rstrip("/"), app.config.hub.rstrip("/"))


def launch_links(page, repository, hub):
    """Pairs (name, address) that open a lesson or sheet in a running JupyterLab."""
    if not repository or not page.startswith(("notebooks/", "exercises/")):
        return []
    name = urlsplit(repository).path.strip("/")
    links = [("Binder", f"https://mybinder.org/v2/gh/{name}/HEAD?urlpath={quote(f'lab/tree/{page}.ipynb', safe='')}")]
    if hub:
        place = quote(f"lab/tree/{name.rpartition('/')[2]}/{page}.ipynb", safe="")
        pull = f"{hub}/hub/user-redirect/git-pull?repo={quote(repository, safe='')}&urlpath={place}"
        links.append(("JupyterHub", pull))
    return links


def setup(app):
    app.add_config_value("repository", "", "env", types=[str])
    app.add_config_value("hub", "", "html", types=[str])
    app.add_node(HideCodeCellNode, override=True, html=(open_answer, close_answer))
    app.connect("builder-inited", bring_in)
    app.add_transform(FromTheCourse)
    app.connect("html-page-context", add_launch_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
