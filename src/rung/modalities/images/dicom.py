"""Read DICOM, the format of medical images, with pydicom: the first frame, windowed to 8 bits.

Standard: https://dicom.nema.org/medical/dicom/current (PS3.3 C.11 for the value transformations).
"""

from __future__ import annotations

import io
import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from rung.core.errors import InputError, MissingExtra

_SMALLER = "Scale it down first."
_AGAIN = "Export it again, uncompressed (Explicit VR Little Endian) or as PNG."
# The transfer syntax of deflated files, which stands in the meta information behind the preamble.
_DEFLATED, _META_BYTES = b"1.2.840.10008.1.2.1.99", 4096
_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "PatientAddress")


def is_dicom(data: bytes) -> bool:
    """Return whether these bytes are a DICOM file: the mark behind its preamble."""
    return data[128:132] == b"DICM"


def dicom_header(data: bytes, most_pixels: int, where: str) -> tuple[int, int, int]:
    """Return width, height and number of frames, without decoding pixels.

    Raises InputError for a file without an image, a damaged one and one of more pixels; MissingExtra without pydicom.
    """
    dataset = _read(data, where, pixels=False)
    try:
        width, height = int(dataset.Columns), int(dataset.Rows)
        frames = int(dataset.get("NumberOfFrames") or 1)
    except (AttributeError, TypeError, ValueError):
        raise InputError(
            "the DICOM file holds no image", where, "Give the series that holds the images."
        ) from None
    if width < 1 or height < 1 or width * height > most_pixels:
        raise InputError(
            f"the image has {width:,} x {height:,} pixels; 1 to {most_pixels:,} are read", where, _SMALLER
        )
    return width, height, max(frames, 1)


def dicom_pixels(data: bytes, most_pixels: int, where: str) -> Any:
    """Return uint8 [height, width] or [height, width, 3] of the first frame.

    Grey values go through the modality transformation and the first window (or VOI table) of the file; without one, from
    their least to their greatest value. MONOCHROME1 is inverted, so that bright is always bright. Raises as `dicom_header` does.
    """
    dicom_header(data, most_pixels, where)
    from pydicom.pixels import processing
    from pydicom.pixels.utils import pixel_array

    dataset = _read(data, where, pixels=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = pixel_array(dataset, index=0)
            kind = str(dataset.PhotometricInterpretation)
            if kind == "PALETTE COLOR":
                found = processing.apply_color_lut(found, dataset)
            if found.ndim == 3:
                return _to_bytes(found, float(2 ** int(dataset.BitsStored) - 1))
            found = processing.apply_voi_lut(processing.apply_modality_lut(found, dataset), dataset, index=0)
    except MemoryError:
        raise
    except Exception as error:  # what pydicom raises for damaged or compressed pixels is of many classes
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise InputError(
            f"the pixels of the DICOM image cannot be read: {reason[0][:200]}", where, _AGAIN
        ) from None
    grey = np.asarray(found, np.float64)
    low, high = float(grey.min()), float(grey.max())
    scaled = (grey - low) / (high - low) if high > low else np.zeros_like(grey)
    return _to_bytes(1 - scaled if kind == "MONOCHROME1" else scaled, 1.0)


def dicom_subject(data: bytes, where: str = "") -> str:
    """Return the patient's id, "" where there is none: images of one patient belong together."""
    return str(_read(data, where, pixels=False).get("PatientID") or "").strip()


def names_patient(data: bytes, where: str = "") -> bool:
    """Return whether the file says who the patient is."""
    dataset = _read(data, where, pixels=False)
    return any(str(dataset.get(name) or "").strip() for name in _PATIENT)


def _to_bytes(values: Any, greatest: float) -> Any:
    return np.clip(np.asarray(values, np.float64) * (255.0 / max(greatest, 1e-9)) + 0.5, 0, 255).astype(
        np.uint8
    )


def _read(data: bytes, where: str, pixels: bool) -> Any:
    try:
        return _parsed(data, True) if pixels else _header(data)
    except InputError as error:
        raise InputError(error.problem, where, error.fix) from None


# A file is asked for its patient, its size and its pixels in turn: its header is read once for all.
@lru_cache(maxsize=2)
def _header(data: bytes) -> Any:
    return _parsed(data, False)


def _parsed(data: bytes, pixels: bool) -> Any:
    if _DEFLATED in data[:_META_BYTES]:
        # It would be inflated whole, to whatever size it has, before anything of it could be checked.
        raise InputError("deflated DICOM files are not read", "", _AGAIN)
    try:
        import pydicom
    except ImportError:
        raise MissingExtra("reading DICOM", "dicom", "pydicom") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(io.BytesIO(data), stop_before_pixels=not pixels)
    except MemoryError:
        raise
    except Exception:  # as above
        raise InputError("the DICOM file is damaged: its header cannot be read", "", _AGAIN) from None
