"""Interactive object segmentation that learns from corrections (Kontogianni et al., ECCV 2020)."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

from .errors import IlsegkitError, MissingExtraError

if TYPE_CHECKING:
    from .adaptation import Adaptation, Settings
    from .clicks import Click
    from .data import FolderDataset, Sample, offline_photos, open_dataset, open_sequence, open_small_set
    from .evaluation import Results, evaluate
    from .model import InteractiveSegmenter, ModelConfig, load_model, save_model
    from .session import Session
    from .widget import ClickSegmenter as ClickSegmenter

#: Where names are, which are imported when they are asked for: the command line's help need not wait for PyTorch.
_HOMES = {
    "Adaptation": "adaptation",
    "Click": "clicks",
    "ClickSegmenter": "widget",
    "FolderDataset": "data",
    "InteractiveSegmenter": "model",
    "ModelConfig": "model",
    "Results": "evaluation",
    "Sample": "data",
    "Session": "session",
    "Settings": "adaptation",
    "evaluate": "evaluation",
    "load_model": "model",
    "offline_photos": "data",
    "open_dataset": "data",
    "open_sequence": "data",
    "open_small_set": "data",
    "save_model": "model",
}

# Without the widget: `from ilsegkit import *` works without the extra, too.
__all__ = [
    "Adaptation",
    "Click",
    "FolderDataset",
    "IlsegkitError",
    "InteractiveSegmenter",
    "MissingExtraError",
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
    """A name of `_HOMES`, or a module, which need not be imported first."""
    if name not in _HOMES and (name.startswith("_") or find_spec(f"{__name__}.{name}") is None):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f".{_HOMES.get(name, name)}", __name__)
    except ModuleNotFoundError as error:
        if name != "ClickSegmenter":
            raise
        raise MissingExtraError(f"the widget needs packages ({error})", "lab") from error
    return getattr(module, name) if name in _HOMES else module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOMES})
