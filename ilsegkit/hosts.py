"""Where a notebook is shown, and what the widget has to do for that: JupyterLab, Notebook, Voila, VS Code, Colab.

The live widget needs a kernel. Beside it a picture is stored, for GitHub, nbconvert, and whoever opens the notebook later.
"""

from __future__ import annotations

import os
import sys
from typing import Any
from uuid import uuid4

__all__ = ["StillPicture", "bundle_with_picture", "enable_colab", "shows_outputs_apart"]


def enable_colab() -> None:
    """In Colab, allow widgets that are not its own; elsewhere nothing happens."""
    if "google.colab" in sys.modules:
        from google.colab import output  # type: ignore[import-not-found]

        output.enable_custom_widget_manager()


def shows_outputs_apart() -> bool:
    """Whether each output stands in a frame of its own, so that the live widget cannot hide the picture beside it."""
    return "google.colab" in sys.modules or "VSCODE_PID" in os.environ or "VSCODE_CWD" in os.environ


class StillPicture:
    """A JPEG in a notebook that is replaced as the work goes on. Where the widget is live, its style sheet hides it.

    Examples
    --------
    >>> StillPicture().shown
    False
    """

    def __init__(self) -> None:
        self._id = f"ilsegkit-{uuid4().hex}"
        self.shown = False

    def show(self, picture: bytes) -> None:
        """Put it into the output of the cell that is being run."""
        self._display(picture, update=False)
        self.shown = True

    def update(self, picture: bytes) -> None:
        """Replace it, wherever it has been put."""
        if self.shown:
            self._display(picture, update=True)

    def _display(self, picture: bytes, update: bool) -> None:
        from IPython.display import Image, display, update_display

        (update_display if update else display)(Image(picture, format="jpeg"), display_id=self._id)


def bundle_with_picture(bundle: tuple[dict[str, Any], dict[str, Any]], picture: bytes) -> tuple[dict, dict]:
    """A widget's representation with a picture in it, for hosts that show one of the two."""
    from base64 import b64encode

    data, metadata = bundle
    return data | {"image/jpeg": b64encode(picture).decode("ascii")}, metadata
