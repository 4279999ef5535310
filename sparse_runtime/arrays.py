"""Arrays from files."""

from __future__ import annotations

from typing import Dict, Union

import numpy as np

from .errors import ArgumentError, ModelIOError


def load(path: str) -> Union[np.ndarray, Dict[str, np.ndarray]]:
    """The array of an .npy file, {name: array} of an .npz file. Raises ModelIOError where the file cannot be read,
    ArgumentError where it is no such file, is damaged, or holds pickled objects, which are not loaded."""
    try:
        with open(path, "rb") as file:  # which np.load leaves open where it fails
            loaded = np.load(file, allow_pickle=False)
            return loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except OSError as error:
        raise ModelIOError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # for damaged files zipfile, zlib, numpy and tokenize have a dozen kinds
        why = str(error).partition(". ")[0]  # numpy goes on about how to load what is better not loaded
        raise ArgumentError(f"{path}: not a .npy or .npz file that can be read ({why})") from None
