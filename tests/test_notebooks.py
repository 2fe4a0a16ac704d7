"""The notebooks are what their sources make, teach in small cells, and their stored outputs are fit to be seen."""

import importlib.util
import re
import sys
from pathlib import Path

import matplotlib as mpl
import nbformat
import pytest

mpl.use("agg")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
SOLVED = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
CHAPTERS = [path for path in NOTEBOOKS if not path.name.startswith("00")]


def name_of(path):
    return str(path.relative_to(ROOT / "notebooks"))


@pytest.fixture(scope="module")
def build():
    sys.path.insert(0, str(ROOT / "notebooks"))
    spec = importlib.util.spec_from_file_location("build", ROOT / "notebooks" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(ROOT / "notebooks"))


def code_cells(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def test_there_are_eleven_chapters():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{number:02d}" for number in range(11)]
    assert [path.name for path in SOLVED] == [path.name for path in CHAPTERS]


def test_notebooks_are_what_their_sources_make(build):
    for path, made in build.targets([]):
        assert build.same(nbformat.read(path, 4), made), f"{name_of(path)}: run python notebooks/build.py"


@pytest.mark.parametrize("path", NOTEBOOKS + SOLVED, ids=name_of)
def test_valid_and_in_small_cells(path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 40, cell.source.splitlines()[0]


@pytest.mark.parametrize("path", NOTEBOOKS + SOLVED, ids=name_of)
def test_outputs_are_stored_and_fit_to_be_seen(path):
    cells = code_cells(path)
    assert any(cell.outputs for cell in cells), "no outputs: run python notebooks/build.py --execute"
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error", output
            text = str(output.get("text", "")) + str({k: v for k, v in output.get("data", {}).items() if "text" in k})
            assert output.get("name") != "stderr", text
            assert "Traceback" not in text
            assert "Warning" not in text
            assert not re.search(r"(/root|/home|/work|/tmp|/Users|[A-Z]:\\)", text), text


@pytest.mark.parametrize("path", NOTEBOOKS + SOLVED, ids=name_of)
def test_no_paths_of_this_machine_and_not_large(path):
    text = path.read_text()
    assert len(text) < 1_300_000
    words = re.sub(r"[A-Za-z0-9+/]{200,}", "", text)  # pictures
    assert not re.search(r"/(?:root|home|work|tmp|Users)/", words)


@pytest.mark.parametrize("path", CHAPTERS, ids=name_of)
def test_chapters_have_what_a_student_needs(path):
    notebook = nbformat.read(path, 4)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert "After this chapter you can" in prose
    assert "<details>" in prose
    assert prose.count("<details>") == prose.count("</details>")
    assert "colab-badge" in notebook.cells[0].source
    assert "google.colab" in code[0]
    assert "raise NotImplementedError  # your code here" in "\n".join(code)
    assert "SOLUTION" not in "\n".join(code)
    # Every figure has a caption.
    for cell, following in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.cell_type == "code" and re.search(r"^(plt\.show|live)\(", cell.source, re.MULTILINE):
            words = following.source if following.cell_type == "markdown" else ""
            assert words.startswith(("*Figure", "*What")), cell.source


@pytest.mark.parametrize("path", SOLVED, ids=name_of)
def test_solutions_solve(path):
    """Run here, without a kernel: the cells are small and need no network."""
    cells = code_cells(path)
    checks = [cell for cell in cells if cell.source.startswith("check(")]
    assert checks
    assert not any("NotImplementedError" in cell.source for cell in cells)
    names: dict = {"__name__": "solutions"}
    for cell in cells[1:]:  # the first is for Colab
        if cell in checks:
            verdict = eval(cell.source, names)
            assert verdict.solved, verdict
            assert cell.outputs[0].data["text/plain"] == repr(verdict)
        else:
            exec(cell.source, names)


def test_chapters_ask_and_do_not_tell():
    for path in CHAPTERS:
        for cell in code_cells(path):
            if cell.source.startswith("check("):
                assert cell.outputs[0].data["text/plain"].startswith("…")


def test_links_between_notebooks_lead_somewhere():
    for path in NOTEBOOKS + SOLVED:
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "markdown":
                for target in re.findall(r"\]\(([^):#]+\.(?:ipynb|md|png))\)", cell.source):
                    assert (path.parent / target).is_file(), f"{name_of(path)}: {target}"


def test_binder_files():
    folder = ROOT / "binder"
    assert re.fullmatch(r"python-3\.\d+\s*", (folder / "runtime.txt").read_text())
    for script in ("postBuild", "start"):
        assert (folder / script).read_text().startswith("#!/usr/bin/env bash\n")
    assert (folder / "start").read_text().rstrip().endswith('exec "$@"')
    assert (folder / "postBuild").read_text().rstrip().endswith("exit 0")
    lines = [line.split("#")[0].strip() for line in (folder / "requirements.txt").read_text().splitlines()]
    pins = [line for line in lines if line and not line.startswith("--")]
    assert all("==" in pin for pin in pins if not pin.startswith("."))
    assert ".[lab]" in pins


def test_outputs_stay_when_the_repository_is_another(build, monkeypatch, tmp_path):
    """A teacher names the repository of the course in build.py, and runs it."""
    source = ROOT / "notebooks" / "source" / "03_corrections_as_examples.md"
    stored = nbformat.read(ROOT / "notebooks" / f"{source.stem}.ipynb", 4)
    monkeypatch.setattr(build, "COLAB", build.COLAB.replace(build.REPOSITORY, "https://github.com/teacher/course"))
    made = build.chapter(source)
    assert made.cells[1].source != stored.cells[1].source
    old = tmp_path / "old.ipynb"
    nbformat.write(stored, old)
    assert build.keep_outputs(made, old) == ""
    assert build.outputs(made) == build.outputs(stored) != []
    changed = build.chapter(source)
    next(cell for cell in changed.cells[2:] if cell.cell_type == "code").source += "\nprint(1)"
    assert "run it with --execute" in build.keep_outputs(changed, old)
    assert build.outputs(changed) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_only_widgets_that_are_shown_have_a_state(build, path):
    notebook = nbformat.read(path, 4)
    if "widgets" in notebook.metadata:
        before = list(notebook.metadata["widgets"][build.WIDGET_STATE]["state"])
        build.keep_what_is_shown(notebook)
        assert list(notebook.metadata["widgets"][build.WIDGET_STATE]["state"]) == before
