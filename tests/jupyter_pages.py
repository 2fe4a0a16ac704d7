"""A Jupyter server on 127.0.0.1 with JupyterLab, Notebook 7 and Voila, and a page in Chromium: for tests and benchmarks."""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path

import nbformat
import numpy as np
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Without a kernel's name JupyterLab would ask for one.
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
# Draw all that lies in a pane onto one canvas, each where the browser has put it.
COMPOSE = """async sheet => {
    await new Promise(requestAnimationFrame); // what is due to be drawn
    const shown = sheet.getBoundingClientRect();
    const canvas = Object.assign(document.createElement("canvas"), {width: sheet.width, height: sheet.height});
    const context = canvas.getContext("2d"), factor = sheet.width / shown.width;
    for (const each of sheet.parentElement.querySelectorAll("canvas:not([hidden]), img:not([hidden])")) {
        const box = each.getBoundingClientRect();
        context.imageSmoothingEnabled = getComputedStyle(each).imageRendering !== "pixelated";
        context.drawImage(each, (box.left - shown.left) * factor, (box.top - shown.top) * factor,
            box.width * factor, box.height * factor);
    }
    return canvas.toDataURL("image/png");
}"""


def find_chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Server:
    """A running Jupyter server."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder

    def sessions(self) -> list[dict]:
        with urllib.request.urlopen(f"{self.url}/api/sessions", timeout=10) as answer:
            return json.load(answer)

    def kernel(self, name: str) -> dict | None:
        return next((s["kernel"] for s in self.sessions() if s["path"] == name), None)

    def wait_for_kernel(self, name: str, seconds: float = 90) -> None:
        """Until the notebook's kernel is idle and the page is connected to it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            kernel = self.kernel(name)
            if kernel and kernel["execution_state"] == "idle" and kernel["connections"]:
                time.sleep(0.5)
                return
            time.sleep(0.2)
        raise TimeoutError(f"the kernel of {name} is not idle after {seconds} s: {self.sessions()}")

    def tell_kernel(self, name: str, what: str) -> None:
        """Interrupt or restart a notebook's kernel."""
        request = urllib.request.Request(f"{self.url}/api/kernels/{self.kernel(name)['id']}/{what}", method="POST")
        urllib.request.urlopen(request, timeout=60).close()

    def end(self, name: str) -> None:
        for session in self.sessions():
            if session["path"] == name:
                request = urllib.request.Request(f"{self.url}/api/sessions/{session['id']}", method="DELETE")
                urllib.request.urlopen(request, timeout=20).close()

    def write(self, name: str, *cells: str) -> None:
        """A notebook with these cells."""
        nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=KERNEL), self.folder / name)


@contextmanager
def jupyter_server(scratch: Path) -> Iterator[Server]:
    """With settings of its own, that asks nobody for news and shows all cells at once."""
    home, folder = scratch / "home", scratch / "notebooks"
    for path in (home, folder):
        path.mkdir(parents=True)
    settings = home / "settings" / "@jupyterlab"
    for name, value in {
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "notebook-extension/tracker": {"windowingMode": "none"},
    }.items():
        file = settings / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"),
        *("--JupyterNotebookApp.expose_app_in_browser=True", "--VoilaConfiguration.file_allowlist=.*"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        *(f"--ServerApp.root_dir={folder}", "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"),
    ]
    paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }
    with open(home / "log", "w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    running = Server(f"http://127.0.0.1:{port}", folder)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                running.sessions()
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not start:\n{(home / 'log').read_text()[-4000:]}") from error
                time.sleep(0.3)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


class Notebook:
    """A notebook open in a page, with the widget in it. Places are in pixels of the photo."""

    number = 0  # of the widget that is meant

    def __init__(self, server: Server, browser, name: str, host: str = "doc/tree", **context) -> None:
        self.server, self.name, self.host = server, name, host
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 1000}} | context))
        self.errors: list[str] = []
        self.sent: list[str] = []
        self.page = self.new_page()

    def new_page(self):
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: self.sent.append(str(frame))))
        page.goto(f"{self.server.url}/{self.host}/{self.name}", timeout=120_000)
        if "voila" not in self.host:
            page.wait_for_selector(".jp-Notebook", timeout=120_000)
            self.server.wait_for_kernel(self.name)
        return page

    def reload(self) -> None:
        self.page.close()
        self.page = self.new_page()

    def run_all(self, *, shown: bool = True, wait: bool = True) -> None:
        """Run all cells, until they have run or, without waiting, run. A page that has just opened may not be listening yet."""
        for _ in range(5):
            self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
            try:
                self.page.wait_for_function(
                    r"() => [...document.querySelectorAll('.jp-InputPrompt')].some(e => /\[(\*|\d+)\]/.test(e.textContent))",
                    timeout=10_000,
                )
                break
            except Exception:  # playwright's own TimeoutError
                continue
        if not wait:
            return
        self.wait(lambda: all(re.search(r"\[\d+\]", text) for text in self.prompts()), 300)
        if shown:
            self.wait_for_photo()

    def wait_for_photo(self) -> None:
        self.page.wait_for_selector(".ilsegkit[data-photo]:not([data-photo=''])", timeout=60_000)

    def prompts(self) -> list[str]:
        return self.page.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()

    @staticmethod
    def wait(condition, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the page is not as expected in time")
            time.sleep(0.05)

    @property
    def root(self):
        return self.page.locator(".ilsegkit").nth(self.number)

    def widget(self, number: int) -> "Notebook":
        """The same for another widget in the page, or another view of one."""
        other = copy(self)
        other.number = number
        return other

    def pane(self, kind: str = "learning"):
        return self.root.locator(f"canvas[data-kind={kind}]")

    def pixels(self, kind: str = "learning") -> np.ndarray:
        """What is seen in the pane, (height, width, 3), at the screen's resolution: the canvases and the sheet above them."""
        data = self.pane(kind).evaluate(COMPOSE)
        return np.asarray(Image.open(io.BytesIO(b64decode(data.split(",", 1)[1]))).convert("RGB"))

    def settled(self, kind: str = "learning") -> np.ndarray:
        """The pixels, when they have stopped changing: ipycanvas draws a while after the words have come."""
        seen: list[np.ndarray] = [self.pixels(kind)]

        def still() -> bool:
            self.page.wait_for_timeout(300)
            seen.append(self.pixels(kind))
            return np.array_equal(*seen[-2:])

        self.wait(still)
        return seen[-1]

    def view(self, kind: str = "learning") -> dict[str, float]:
        """How the photo lies in the pane, when the page has drawn what it was about to draw."""
        data = self.pane(kind).evaluate("c => new Promise(done => requestAnimationFrame(() => done({...c.dataset})))")
        return {k: float(data[k]) for k in ("scale", "left", "top", "ratio")}

    def colour(self, x: float, y: float, kind: str = "learning") -> np.ndarray:
        """What is seen where this pixel of the photo is; no colour, where it is out of sight, as while the view moves."""
        view, seen = self.view(kind), self.pixels(kind)
        column, row = (int(((v + 0.5) * view["scale"] + view[k]) * view["ratio"]) for v, k in ((x, "left"), (y, "top")))
        inside = 0 <= row < seen.shape[0] and 0 <= column < seen.shape[1]
        return seen[row, column] if inside else np.full(3, -255)

    def place(self, x: float, y: float, kind: str = "learning") -> tuple[float, float]:
        """Where this pixel of the photo is in the window; looked up each time."""
        view, box = self.view(kind), self.pane(kind).bounding_box()
        shown = self.pane(kind).evaluate("c => c.clientWidth")
        factor = box["width"] / shown
        across, down = ((v + 0.5) * view["scale"] + view[k] for v, k in ((x, "left"), (y, "top")))
        return box["x"] + across * factor, box["y"] + down * factor

    def click(self, x: float, y: float, *, kind: str = "learning", modifiers=(), **options) -> None:
        self.pane(kind).scroll_into_view_if_needed()
        for key in modifiers:
            self.page.keyboard.down(key)
        self.page.mouse.click(*self.place(x, y, kind), **options)
        for key in modifiers:
            self.page.keyboard.up(key)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def execute(self, code: str, wait: bool = True) -> str:
        """Let the kernel run something, as another cell would; give what it prints."""
        run = """([code, wait]) => {
            const run = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({code});
            let text = "";
            run.onIOPub = message => { if (message.header.msg_type === "stream") text += message.content.text; };
            return wait ? run.done.then(() => text) : text;
        }"""
        return self.page.evaluate(run, [code, wait])

    def status(self) -> str:
        return self.root.locator(".ils-status").inner_text()

    def says(self, text: str, seconds: float = 60) -> None:
        """Wait for a text in the status line."""
        try:
            self.wait(lambda: text in self.status(), seconds)
        except TimeoutError:
            raise TimeoutError(f"the status is {self.status()!r}, not {text!r}") from None

    def button(self, label: str):
        return self.root.get_by_role("button", name=label, exact=True).first

    def close(self) -> None:
        self.context.close()
        self.server.end(self.name)
