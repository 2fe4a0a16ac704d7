"""Every data set of the manifest by its id."""

from __future__ import annotations

import inspect
from os import PathLike
from typing import Any

from ..errors import DataError
from .ade20k import ADE20K
from .base import ObjectSet
from .coco import AerialBuildings, CocoPanoptic, CocoVal2014, CocoVal2017
from .contours import Drions, Rooftop
from .grabcut import Berkeley, GrabCut, GrabCut20
from .manifest import entry_of
from .small import FundusSoftMap, Nuclei
from .store import find
from .video import Davis, YouTubeVOS
from .voc import SBD, VOC, VOCTrainAug

__all__ = ["LOADERS", "open_dataset"]

#: By the names that the manifest uses.
LOADERS: dict[str, type[ObjectSet]] = {
    loader.__name__: loader
    for loader in (
        *(ADE20K, AerialBuildings, Berkeley, CocoPanoptic, CocoVal2014, CocoVal2017, Davis, Drions, FundusSoftMap, GrabCut),
        *(GrabCut20, Nuclei, Rooftop, SBD, VOC, VOCTrainAug, YouTubeVOS),
    )
}


def open_dataset(name: str, root: str | PathLike[str] | None = None, **options: Any) -> ObjectSet:
    """Open a data set of the manifest, where it has been downloaded or imported to.

    Parameters
    ----------
    name : str
        Its id in the manifest: ``"grabcut-20"``, ``"coco-val2014"``, ...
    root : path, optional
        Holds the folder `name`; if left out, the shared roots (``ILSEGKIT_DATA``) and then the user's cache are searched.
    **options
        Further arguments of the set's class (`LOADERS`), for example ``split="train"`` for VOC.

    Returns
    -------
    ObjectSet
        A sequence of `Sample`, read when they are asked for.

    Raises
    ------
    DataError
        If there is no such set, it is not there, or it does not have an option.

    Examples
    --------
    >>> nuclei = open_dataset("nuclei-60", largest_each=True)  # doctest: +SKIP
    >>> len(nuclei)  # doctest: +SKIP
    60
    >>> try:
    ...     open_dataset("pascal")
    ... except DataError as error:
    ...     print(str(error).split(";")[0])
    there is no data set 'pascal'
    """
    entry = entry_of(name)
    if entry.loader is None:
        raise DataError(f"{name!r} are weights, not a data set; 'ilsegkit data path {name}' tells where they lie")
    loader = LOADERS[entry.loader]
    folder = find(entry, root)
    options = {other: find(entry_of(other), root) for other in entry.requires} | options
    try:
        inspect.signature(loader).bind(folder, **options)
    except TypeError as error:
        raise DataError(f"the data set {name!r} has no such option ({error})") from error
    return loader(folder, **options)
