"""Data: objects to segment, from folders, from the official layouts of published sets, and offline."""

from .folder import FolderDataset
from .photos import offline_photos
from .sample import Sample
from .small import SMALL_SETS, open_small_set

__all__ = ["SMALL_SETS", "FolderDataset", "Sample", "offline_photos", "open_small_set"]
