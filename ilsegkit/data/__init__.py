"""Data: objects to segment, from the manifest's data sets, from folders of one's own, and made by a program.

>>> from ilsegkit.data import open_sequence, sequences
>>> [spec.name for spec in sequences("small", "domain")]
['fundus-disc-101', 'aerial-buildings-130', 'nuclei-60']
>>> len(open_sequence("scenes-rooftops", seed=0))
60
"""

from .catalog import open_dataset
from .coco import CocoInstances
from .fetch import download, import_data
from .folder import FolderDataset, ImageFolder
from .manifest import load_manifest
from .photos import offline_photos
from .sample import Sample
from .scenes import Scenes
from .sequences import SEQUENCES, load_sequence, open_sequence, sequences
from .small import SMALL_SETS, open_small_set

__all__ = [
    "SEQUENCES",
    "SMALL_SETS",
    "CocoInstances",
    "FolderDataset",
    "ImageFolder",
    "Sample",
    "Scenes",
    "download",
    "import_data",
    "load_manifest",
    "load_sequence",
    "offline_photos",
    "open_dataset",
    "open_sequence",
    "open_small_set",
    "sequences",
]
