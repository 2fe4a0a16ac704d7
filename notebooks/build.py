"""Make the notebooks from their sources in notebooks/source: chapters with exercises, and the exercises solved.

A source is a MyST notebook (jupytext). Between ``### BEGIN SOLUTION`` and ``### END SOLUTION``, as nbgrader writes
them, stands what a student is asked for: the chapter gets a placeholder there; notebooks/solutions gets the solution,
in a notebook of the cells that are tagged `setup` or `exercise`.

    python notebooks/build.py               # write all notebooks; outputs stay where the code is still the same
    python notebooks/build.py --execute     # run them from top to bottom and store the outputs
    python notebooks/build.py 03 --execute  # only chapter 03
    python notebooks/build.py --check       # end with 1 if a notebook is not what its source makes

The experiments run on real images where they are (ILSEGKIT_DATA, or ../shared/data beside the repository), else on
scenes.
"""

import argparse
import base64
import copy
import io
import json
import os
import re
import sys
from pathlib import Path

import jupytext
import nbformat
import resource_use
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "shared" / "data"
REPOSITORY = "https://github.com/ilsegkit/ilsegkit"
WIDGET_VIEW, WIDGET_STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"

SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION\n?", re.MULTILINE | re.DOTALL)
MARKERS = re.compile(r"^ *### (?:BEGIN|END) SOLUTION\n?", re.MULTILINE)
PLACEHOLDER = r"\1raise NotImplementedError  # your code here" + "\n"

COLAB = f"""# On Colab only: install the package, and let live widgets through. Elsewhere this cell does nothing.
import sys

if "google.colab" in sys.modules:
    %pip install --quiet "ilsegkit[lab] @ git+{REPOSITORY}"
    from google.colab import output

    output.enable_custom_widget_manager()"""


def badge(path: str) -> str:
    """The line below a notebook's title that opens it on Colab or Binder."""
    owner = REPOSITORY.removeprefix("https://github.com/")
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        f"(https://colab.research.google.com/github/{owner}/blob/main/{path}) "
        f"[![Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/{owner}/main?labpath={path})"
    )


def chapter(source: Path) -> NotebookNode:
    """The notebook of a chapter, with exercises to be done, without outputs."""
    notebook = _framed(jupytext.read(source), source.stem, f"notebooks/{source.stem}.ipynb")
    for cell in notebook.cells:
        cell.source = SOLUTION.sub(PLACEHOLDER, cell.source).rstrip()
    return notebook


def solutions(source: Path) -> NotebookNode | None:
    """The notebook with a chapter's exercises solved, without outputs; None if it has none."""
    notebook = jupytext.read(source)
    if not any("BEGIN SOLUTION" in cell.source for cell in notebook.cells):
        return None
    title = nbformat.v4.new_markdown_cell(
        f"# Solutions of chapter {source.stem[:2]}\n\nMade from the same source as [the chapter](../{source.stem}.ipynb): "
        "its exercises, each with a solution and the check that it passes."
    )
    wanted = [cell for cell in notebook.cells if {"setup", "exercise"} & set(cell.metadata.get("tags", ()))]
    for cell in wanted:
        cell.source = MARKERS.sub("", cell.source).rstrip()
    notebook.cells = [title, *wanted]
    return _framed(notebook, f"{source.stem}_solutions", f"notebooks/solutions/{source.stem}.ipynb")


def _framed(notebook: NotebookNode, stem: str, path: str) -> NotebookNode:
    """With badge, the cell for Colab, ids that stay the same, and metadata that say no more than is needed."""
    title, blank, rest = notebook.cells[0].source.partition("\n")
    notebook.cells[0].source = f"{title}\n\n{badge(path)}{blank}{rest}"
    notebook.cells.insert(1, nbformat.v4.new_code_cell(COLAB))
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{stem[:2]}{'s' if 'solutions' in stem else ''}-{number:02d}"
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def keep_outputs(notebook: NotebookNode, old: Path) -> str:
    """Take over the outputs stored in an older one, if its code is still the same. Tells if they are lost."""
    if not old.is_file():
        return ""
    stored = nbformat.read(old, 4)
    if code(stored) != code(notebook):
        return "without outputs, since its code has changed; run it with --execute" if outputs(stored) else ""
    for cell, before in zip(code_cells(notebook), code_cells(stored), strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
    notebook.metadata = stored.metadata
    return ""


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code(notebook: NotebookNode) -> list[str]:
    """What makes the outputs: not the first cell, for Colab, which says where the repository is."""
    return [cell.source for cell in code_cells(notebook)[1:]]


def same(a: NotebookNode, b: NotebookNode) -> bool:
    """Whether two notebooks say the same, whatever their outputs."""
    return [(c.id, c.cell_type, c.source) for c in a.cells] == [(c.id, c.cell_type, c.source) for c in b.cells]


def execute(notebook: NotebookNode, folder: Path) -> str:
    """Run from top to bottom in its folder; keep outputs that are the same wherever it is run. Tells time and memory."""
    client = NotebookClient(copy.deepcopy(notebook), timeout=1200, resources={"metadata": {"path": str(folder)}})
    client.record_timing = False
    with resource_use.of_kernel(client) as used:
        done = client.execute()
    for cell, ran in zip(notebook.cells, done.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [out for out in ran.outputs if not is_bar(out)], ran.execution_count
            for out in cell.outputs:
                if "text" in out:
                    out.text = out.text.replace(str(HERE.parent), "ilsegkit")
                make_smaller(out.get("data", {}))
    if "widgets" in done.metadata and any(map(is_widget, outputs(notebook))):
        notebook.metadata["widgets"] = done.metadata["widgets"]
        keep_what_is_shown(notebook)
    return str(used)


def keep_what_is_shown(notebook: NotebookNode) -> None:
    """Drop the state of widgets that no output shows: progress bars leave theirs behind."""
    states = notebook.metadata["widgets"][WIDGET_STATE]["state"]
    wanted = [out["data"][WIDGET_VIEW]["model_id"] for out in outputs(notebook) if is_widget(out)]
    shown: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in states and name not in shown:
            shown.add(name)
            wanted += re.findall(r"IPY_MODEL_(\w+)", json.dumps(states[name]))
    notebook.metadata["widgets"][WIDGET_STATE]["state"] = {name: states[name] for name in states if name in shown}


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    """The outputs of all cells."""
    return [out for cell in code_cells(notebook) for out in cell.outputs]


def is_widget(out: NotebookNode) -> bool:
    """Whether an output is a live widget, whose state has to be stored, too."""
    return WIDGET_VIEW in out.get("data", {})


def is_bar(out: NotebookNode) -> bool:
    """Whether an output is a progress bar: stored, it would stay at 0% for ever."""
    text = out.get("data", {}).get("text/plain", "")
    return re.search(r"\d+%\|.*\| \d+/\d+ \[|: \d+ objects \[\d\d:\d\d, ", text) is not None


def make_smaller(data: NotebookNode, least: int = 60_000) -> None:
    """Large pictures as JPEG: figures with photos in them take a fifth of the space."""
    stored = base64.b64decode(data.get("image/png", ""))
    if len(stored) > least:
        buffer = io.BytesIO()
        with Image.open(io.BytesIO(stored)) as picture:
            picture.convert("RGB").save(buffer, "JPEG", quality=85, optimize=True)
        del data["image/png"]
        data["image/jpeg"] = base64.b64encode(buffer.getvalue()).decode("ascii")


def environment() -> None:
    """What the notebooks are run with: real images where they lie beside the repository."""
    if SHARED.is_dir():
        os.environ.setdefault("ILSEGKIT_DATA", os.pathsep.join([str(SHARED / "mirror"), str(SHARED)]))
    os.environ.setdefault("ILSEGKIT_PROFILE", "small" if os.environ.get("ILSEGKIT_DATA") else "offline")


def targets(only: list[str]) -> list[tuple[Path, NotebookNode]]:
    """Where each notebook is to be written, and what."""
    made: list[tuple[Path, NotebookNode]] = []
    for source in sorted((HERE / "source").glob("*.md")):
        if not only or any(source.stem.startswith(name) for name in only):
            made.append((HERE / f"{source.stem}.ipynb", chapter(source)))
            if (solved := solutions(source)) is not None:
                made.append((HERE / "solutions" / f"{source.stem}.ipynb", solved))
    return made


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("only", nargs="*", help="beginnings of chapters' names; all if left out")
    arguments.add_argument("--execute", action="store_true", help="run the notebooks and store their outputs")
    arguments.add_argument("--check", action="store_true", help="write nothing; end with 1 if a notebook is out of date")
    chosen = arguments.parse_args()
    if chosen.check:
        late = [path for path, made in targets(chosen.only) if not path.is_file() or not same(nbformat.read(path, 4), made)]
        for path in late:
            print(f"{path.relative_to(HERE.parent)} is not what its source makes; run: python notebooks/build.py")
        return bool(late)
    environment()
    for path, made in targets(chosen.only):
        path.parent.mkdir(exist_ok=True)
        told = execute(made, path.parent) if chosen.execute else keep_outputs(made, path)
        nbformat.write(made, path)
        print(path.relative_to(HERE.parent), told, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
