"""The website's settings. From the course's folder:

    pip install -e ".[site]"
    python -m sphinx -M html docs docs/_build -W

and open docs/_build/html/index.html. Lessons and sheets are shown as they are stored, nothing is executed, and no page
asks another host for anything. Two settings below start empty; give them here or at the end of the command, for
example `-D repository=https://github.com/OWNER/NAME`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for course_site

project = "A course on convolution"
author = "the course's authors"
language = "en"

# Where the course is published, as https://github.com/OWNER/NAME. When set, lessons and sheets get a link that opens
# them in Binder (binder/ says what it installs), and links to other files of the course lead there.
repository = ""
# Your JupyterHub, as https://hub.example.edu. When both are set, there is a link that brings the course there too,
# with nbgitpuller, which the hub must have.
hub = ""

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "course_site",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

# Notebooks
nb_execution_mode = "off"
nb_render_markdown_format = "myst"  # stored outputs hold tables of lessons, with links
# Widgets need a kernel, and their scripts would come from other hosts: the still is shown that each has beside itself.
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
nb_ipywidgets_js = {}
nb_code_prompt_show = "Show the answer"
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3

# The reference, from docstrings: single backticks are code there
default_role = "literal"
add_module_names = False
autodoc_default_options = {"members": True}
autodoc_inherit_docstrings = False  # torch's own are long, and link to torch's pages
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_use_ivar = True

# Pages
html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_js_files = ["course.js"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sphinx = False
mathjax_path = "mathjax/tex-svg.js"  # MathJax 3.2.2, see mathjax/LICENSE; made for offline use: fonts are inside
mathjax3_config = {"options": {"enableMenu": False}}  # its menu would ask another host for more
html_theme_options = {
    "article_header_end": ["launch"],
    "footer_start": [],
    "footer_end": [],
    "navbar_align": "left",
    "search_bar_text": "Search the course",
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": []}
