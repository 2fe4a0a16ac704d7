"""One server and one Chromium for all browser tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_pages import CHROMIUM_FLAGS, ROOT, Notebook, Server, find_chromium, jupyter_server


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where screenshots go, those of this run alone; git does not see it."""
    folder = ROOT / "test-artefacts"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    """A headless browser."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = find_chromium()
    if path is None:
        pytest.skip("there is no Chromium on the PATH")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for module in ("jupyterlab", "notebook", "voila"):
        pytest.importorskip(module)
    with jupyter_server(tmp_path_factory.mktemp("jupyter")) as running:
        yield running


@pytest.fixture(scope="session")
def open_notebook(server: Server, chromium):
    """Opens a notebook of these cells: ``open_notebook("name.ipynb", "1 + 1")``."""
    opened = []

    def open_it(name: str, *cells: str, host: str = "doc/tree", **context) -> Notebook:
        if cells:
            server.write(name, *cells)
        notebook = Notebook(server, chromium, name, host, **context)
        opened.append(notebook)
        return notebook

    yield open_it
    for notebook in opened:
        try:
            notebook.close()
        except Exception:  # closed by its test
            continue
