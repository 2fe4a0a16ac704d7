"""Interactive object segmentation that learns from corrections (Kontogianni et al., ECCV 2020)."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

from .adaptation import Adaptation, Settings
from .clicks import Click
from .data import FolderDataset, Sample, offline_photos, open_dataset, open_sequence, open_small_set
from .errors import IlsegkitError, MissingExtraError
from .evaluation import Results, evaluate
from .model import InteractiveSegmenter, ModelConfig, load_model, save_model
from .session import Session

if TYPE_CHECKING:
    from .widget import ClickSegmenter as ClickSegmenter

# Without the widget: `from ilsegkit import *` works without the extra, too.
__all__ = [
    "Adaptation",
    "Click",
    "FolderDataset",
    "IlsegkitError",
    "InteractiveSegmenter",
    "ModelConfig",
    "Results",
    "Sample",
    "Session",
    "Settings",
    "__version__",
    "evaluate",
    "load_model",
    "offline_photos",
    "open_dataset",
    "open_sequence",
    "open_small_set",
    "save_model",
]


def __getattr__(name: str) -> Any:
    """The widget, only when it is asked for: it needs the extra ``lab``."""
    if name == "ClickSegmenter":
        try:
            from .widget import ClickSegmenter
        except ModuleNotFoundError as error:
            raise MissingExtraError(f"the widget needs packages ({error})", "lab") from error
        return ClickSegmenter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
