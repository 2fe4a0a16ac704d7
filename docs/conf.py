"""The documentation site, built from the repository's root, so that notebooks and documents stay where they are:

sphinx-build -W -c docs . build/docs
"""

import inspect

from docutils import nodes

import ilsegkit

project = "ilsegkit"
release = version = ilsegkit.__version__
author = "The ilsegkit developers"
copyright = "The ilsegkit developers, Apache License 2.0"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax", "sphinx.ext.viewcode"]
root_doc = "docs/index"
include_patterns = [
    *("docs/*.md", "docs/howto/*.md", "notebooks/*.ipynb", "notebooks/solutions/*.ipynb", "benchmarks/*.md"),
    "ilsegkit/weights/*.md",
]
exclude_patterns = ["notebooks/source"]

# Outputs are those that `python notebooks/build.py --execute` has stored.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
# "ref.python": several classes have an attribute of the same name, and a docstring means its own.
suppress_warnings = ["myst.header", "mystnb.mime_priority", "mystnb.unknown_mime_type", "ref.python"]

napoleon_google_docstring = False
napoleon_use_ivar = True  # the attributes of a named tuple would be told twice
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the numpydoc sections tell them

html_theme = "furo"
html_title = "ilsegkit"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
linkcheck_ignore = [r"https?://localhost.*", r"https://(colab\.research\.google\.com|mybinder\.org)/.*"]

# Sphinx would take that of the widgets' base class.
ilsegkit.ClickSegmenter.__signature__ = inspect.signature(ilsegkit.ClickSegmenter)


def name_pictures(app, tree):
    """What cells put out has no description of its own, and a screen reader would spell the file's name."""
    for image in tree.findall(lambda node: isinstance(node, nodes.image) and "alt" not in node):
        cell = image
        while cell.parent is not None and "cell" not in cell.get("classes", ()):
            cell = cell.parent
        below = cell.next_node(nodes.paragraph, descend=False, siblings=True)
        caption = below.astext() if below is not None else ""
        image["alt"] = caption.split(". ")[0] if caption.startswith("Figure") else "Output of the cell above"


def setup(app):
    app.connect("doctree-read", name_pictures)
