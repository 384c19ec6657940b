"""DICOM: the files that pydicom packs, read like any other image, without what they say about the patient."""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from rung.core.blobs import Blob
from rung.core.errors import InputError
from rung.core.kind import kind
from rung.data.readers.folder import open_folder
from rung.data.sources.read import Source, read_rows
from rung.modalities.images.decode import Preprocessing, decode, load, read_header
from rung.modalities.images.metadata import personal_metadata, strip_metadata


def packed(name):
    return Path(get_testdata_file(name, download=False)).read_bytes()


def made(pixels, **elements):
    """Return a DICOM file of 16-bit grey values."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    found = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    found.Rows, found.Columns = pixels.shape
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.BitsAllocated = found.BitsStored = 16
    found.HighBit, found.PixelRepresentation = 15, 0
    found.PixelData = pixels.astype("<u2").tobytes()
    for name, value in elements.items():
        setattr(found, name, value)
    out = io.BytesIO()
    found.save_as(out, enforce_file_format=True)
    return out.getvalue()


RAMP = np.arange(64 * 48).reshape(48, 64)


@pytest.mark.parametrize(
    "name,mode,size",
    [
        ("CT_small.dcm", "L", (128, 128)), ("MR_small_RLE.dcm", "L", (64, 64)), ("MR_small_bigendian.dcm", "L", (64, 64)),
        ("examples_palette.dcm", "RGB", (800, 350)), ("SC_rgb_dcmtk_+eb+cy+np.dcm", "RGB", (100, 100)),
        ("SC_rgb_rle_16bit_2frame.dcm", "RGB", (100, 100)),
    ],
)  # fmt: skip
def test_packed_files_are_read(name, mode, size):
    data = packed(name)
    image = load(data, name)
    assert (
        (image.mode, image.size)
        == (mode, size)
        == (mode, (read_header(data).width, read_header(data).height))
    )
    assert np.asarray(image).std() > 5
    assert decode(data, Preprocessing(32, 32)).shape == (32, 32, 3)
    assert read_header(data).animated == ("2frame" in name)


def test_the_window_of_the_file_is_applied():
    windowed = np.asarray(load(made(RAMP, WindowCenter=1000, WindowWidth=400)))
    assert windowed[RAMP < 790].max() == 0 and windowed[RAMP > 1210].min() == 255
    assert 100 < windowed[RAMP == 1000] < 155
    plain = np.asarray(load(made(RAMP)))
    assert plain.min() == 0 and plain.max() == 255 and abs(int(plain[RAMP.max() // 2 == RAMP][0]) - 127) <= 1
    inverted = np.asarray(load(made(RAMP, PhotometricInterpretation="MONOCHROME1")))
    assert np.abs(inverted.astype(int) + plain - 255).max() <= 1
    flat = np.asarray(load(made(np.full((8, 8), 7))))
    assert flat.shape == (8, 8) and flat.std() == 0


def test_nothing_that_ships_names_the_patient():
    data = made(RAMP, PatientName="Wang^Fang", PatientID="P7", PatientBirthDate="19700101")
    assert personal_metadata(data) == {"owner"}
    stripped = strip_metadata(data)
    assert read_header(stripped).format == "PNG" and b"Wang" not in stripped and b"P7" not in stripped
    assert np.array_equal(np.asarray(load(stripped)), np.asarray(load(data)))
    assert kind("image").subject(Blob.of(data)) == "P7"


def test_a_folder_of_dicom_files_says_which_patient_each_is_of(tmp_path):
    for label in ("healthy", "ill"):
        (tmp_path / label).mkdir()
        for number in range(3):
            patient = "" if number == 2 else f"{label}{number}"
            (tmp_path / label / f"{number}.dcm").write_bytes(made(RAMP + number, PatientID=patient))
    (tmp_path / "ill" / "3.dcm").write_bytes(b"\0" * 200)
    table = open_folder(tmp_path, "scans")
    assert table.columns == ("image", "label", "file", "subject")
    rows = [row.values["subject"] for row in read_rows(Source("scans", (table,)))]
    assert rows == ["healthy0", "healthy1", None, "ill0", "ill1", None, None]


@pytest.mark.parametrize(
    "data,problem",
    [
        (lambda: packed("rtplan.dcm"), "holds no image"),
        (lambda: packed("MR_truncated.dcm"), "pixels of the DICOM image cannot be read"),
        (lambda: packed("image_dfl.dcm"), "deflated"),
        (lambda: packed("JPEGLSNearLossless_08.dcm"), "cannot be read"),
        (lambda: b"\0" * 128 + b"DICM" + b"\xff" * 400, "DICOM"),
        (lambda: made(RAMP, Rows=40_000, Columns=40_000), "1,600,000,000|40,000 x 40,000"),
        (lambda: made(RAMP, Rows=0), "0 pixels"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_reason(data, problem):
    with pytest.raises(InputError, match=problem) as refused:
        load(data(), "scan.dcm")
    assert refused.value.fix


def test_changed_bytes_never_raise_anything_else():
    rng = np.random.default_rng(0)
    data = bytearray(packed("CT_small.dcm"))
    for _ in range(150):
        changed = bytearray(data)
        for place in rng.integers(132, 2000, 4):
            changed[place] = rng.integers(0, 256)
        with suppress(InputError):
            assert isinstance(load(bytes(changed)), Image.Image)
