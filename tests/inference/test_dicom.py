"""Every kind of object a PACS may hand over: a frame, or the reason there is none."""

import struct
import subprocess
import sys
import zlib
from io import BytesIO

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import Dataset, Sequence
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    JPEG2000,
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    KeyObjectSelectionDocumentStorage,
    RLELossless,
    SegmentationStorage,
)

from inference import deflated, dicom
from inference.dicom import Frame, UnreadableFrame, frame, open_dataset

CODES = {
    "not_dicom", "truncated", "no_pixels", "not_an_image", "multi_frame", "colour",
    "undecodable", "too_large", "blank",
}  # fmt: skip
SHAPE = (48, 40)


def grey(bits: int = 12, signed: bool = False) -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ramp = (np.sin(x / 6) + np.cos(y / 9) + 2) / 4 * (2**bits - 1)
    if signed:
        return (ramp - 2 ** (bits - 1)).astype(np.int16)
    return ramp.astype(np.uint8 if bits == 8 else np.uint16)


def dataset(
    pixels: np.ndarray | None = None, *, bits: int = 12, **tags: object
) -> FileDataset:
    pixels = grey(bits) if pixels is None else pixels
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = "2.25.7"
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID = "2.25.7"
    ds.Modality = "DX"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.BitsAllocated = pixels.itemsize * 8
    ds.BitsStored, ds.HighBit = bits, bits - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.WindowCenter, ds.WindowWidth = 2 ** (bits - 1), 2**bits
    ds.PixelData = pixels.tobytes()
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
    return ds


def stored(ds: Dataset) -> BytesIO:
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return buffer


def compressed(ds: FileDataset, syntax: UID, stream: bytes) -> FileDataset:
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    return ds


def read(ds: Dataset) -> np.ndarray:
    return frame(open_dataset(stored(ds))).pixels


def refusal(act) -> str:
    with pytest.raises(UnreadableFrame) as caught:
        act()
    assert caught.value.code in CODES
    assert (
        caught.value.reason.endswith(".") and str(caught.value) == caught.value.reason
    )
    return caught.value.code


def oracle(ds: Dataset) -> np.ndarray:
    """pydicom's own pipeline, scaled to [0, 255]; dense bright."""
    shown = apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds, index=0)
    stored_range = np.array([0, 2**ds.BitsStored - 1])
    if ds.PixelRepresentation:
        stored_range -= 2 ** (ds.BitsStored - 1)
    if "VOILUTSequence" in ds:
        low, high = 0, 2 ** ds.VOILUTSequence[0].LUTDescriptor[2] - 1
    else:
        low, high = sorted(apply_modality_lut(stored_range, ds))
    grades = (shown.astype(float) - low) / (high - low)
    if ds.PhotometricInterpretation == "MONOCHROME1":
        grades = 1 - grades
    return grades * 255


def close(pixels: np.ndarray, expected: np.ndarray, tolerance: float = 0.51) -> bool:
    return np.abs(pixels - expected).max() <= tolerance


class TestTransferSyntaxes:
    """The same picture, however it was packed."""

    @pytest.mark.parametrize("bits", [8, 10, 12, 16])
    @pytest.mark.parametrize(
        "syntax",
        [
            ExplicitVRLittleEndian,
            ImplicitVRLittleEndian,
            DeflatedExplicitVRLittleEndian,
        ],
        ids=lambda syntax: syntax.name,
    )
    def test_uncompressed(self, syntax, bits):
        ds = dataset(bits=bits)
        ds.file_meta.TransferSyntaxUID = syntax
        assert close(read(ds), oracle(dataset(bits=bits)))

    @pytest.mark.parametrize("bits", [8, 12, 16])
    def test_big_endian(self, bits):
        plain = dataset(bits=bits)
        ds = dataset(grey(bits) if bits == 8 else grey(bits).byteswap(), bits=bits)
        ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        ds["PixelData"].VR = "OW" if bits > 8 else "OB"
        buffer = BytesIO()
        pydicom.dcmwrite(
            buffer, ds, implicit_vr=False, little_endian=False, force_encoding=True
        )
        buffer.seek(0)
        assert close(frame(open_dataset(buffer)).pixels, oracle(plain))

    @pytest.mark.parametrize(
        ("bits", "signed"),
        [(8, False), (12, False), (12, True), (16, False), (16, True)],
    )
    @pytest.mark.parametrize(
        ("syntax", "encode"),
        [
            (JPEGLSLossless, imagecodecs.jpegls_encode),
            (JPEG2000Lossless, lambda a: imagecodecs.jpeg2k_encode(a, level=0)),
        ],
        ids=["JPEG-LS", "JPEG 2000"],
    )
    def test_lossless(self, syntax, encode, bits, signed):
        pixels = grey(bits, signed)
        words = pixels.view(np.uint16) if signed else pixels
        words = words & np.array(2**bits - 1, words.dtype)
        plain = (
            dataset(pixels, bits=bits, WindowCenter=0) if signed else dataset(bits=bits)
        )
        assert close(
            read(
                compressed(
                    dataset(pixels, bits=bits, **_window(plain)), syntax, encode(words)
                )
            ),
            oracle(plain),
        )

    @pytest.mark.parametrize("bits", [8, 12, 16])
    @pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1])
    @pytest.mark.parametrize("predictor", [1, 6])
    def test_lossless_jpeg(self, syntax, predictor, bits):
        stream = imagecodecs.jpeg8_encode(
            grey(bits), lossless=True, predictor=predictor, bitspersample=bits
        )
        assert close(
            read(compressed(dataset(bits=bits), syntax, stream)),
            oracle(dataset(bits=bits)),
        )

    @pytest.mark.parametrize(("bits", "signed"), [(8, False), (12, False), (12, True)])
    def test_run_lengths(self, bits, signed):
        ds = dataset(
            grey(bits, signed), bits=bits, WindowCenter=0 if signed else 2 ** (bits - 1)
        )
        expected = oracle(ds)
        ds.compress(RLELossless, generate_instance_uid=False)
        assert close(read(ds), expected)

    @pytest.mark.parametrize("shape", [(7, 5), (8, 5), (1, 9), (33, 31)])
    def test_run_lengths_of_odd_sizes(self, shape):
        pixels = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
        ds = dataset(pixels, bits=8)
        expected = oracle(ds)
        ds.compress(RLELossless, generate_instance_uid=False)
        assert close(read(ds), expected)

    @pytest.mark.parametrize(
        ("syntax", "bits", "encode"),
        [
            (JPEGBaseline8Bit, 8, lambda a: imagecodecs.jpeg8_encode(a, 98)),
            (
                JPEGExtended12Bit,
                12,
                lambda a: imagecodecs.jpeg8_encode(a, 98, bitspersample=12),
            ),
            (JPEGLSNearLossless, 12, lambda a: imagecodecs.jpegls_encode(a, 4)),
            (JPEG2000, 12, lambda a: imagecodecs.jpeg2k_encode(a, 85)),
        ],
        ids=["baseline", "extended", "near-lossless", "JPEG 2000"],
    )
    def test_lossy_is_nearly_the_same(self, syntax, bits, encode):
        pixels = read(compressed(dataset(bits=bits), syntax, encode(grey(bits))))
        assert close(pixels, oracle(dataset(bits=bits)), tolerance=5)

    def test_several_fragments_are_one_frame(self):
        stream = imagecodecs.jpegls_encode(grey())
        ds = compressed(dataset(), JPEGLSLossless, stream)
        ds.PixelData = encapsulate([stream], fragments_per_frame=3)
        assert close(read(ds), oracle(dataset()))

    def test_a_file_without_preamble_or_meta_is_still_read(self):
        buffer = stored(dataset())
        with_meta = buffer.getvalue()
        length = int.from_bytes(with_meta[140:144], "little")
        assert close(
            frame(open_dataset(BytesIO(with_meta[144 + length :]))).pixels,
            oracle(dataset()),
        )


def _window(ds: Dataset) -> dict[str, object]:
    return {"WindowCenter": ds.WindowCenter, "WindowWidth": ds.WindowWidth}


class TestWhatIsStored:
    """Words that are not simply values."""

    def test_junk_in_unused_high_bits_is_ignored(self):
        junk = grey() | np.uint16(0xA000)
        assert (read(dataset(junk)) == read(dataset())).all()

    def test_values_in_the_upper_bits_are_found(self):
        shifted = (grey() << 4) | np.uint16(0x7)
        assert (read(dataset(shifted, HighBit=15)) == read(dataset())).all()

    def test_a_nonsensical_high_bit_is_disregarded(self):
        assert read(dataset(grey(), HighBit=40)).max() > 0

    def test_more_bytes_than_needed_are_padding(self):
        ds = dataset()
        ds.PixelData += b"\0" * 10
        assert (read(ds) == read(dataset())).all()

    def test_the_uid_comes_along(self):
        found = frame(open_dataset(stored(dataset())))
        assert isinstance(found, Frame) and found.uid == "2.25.7"
        assert found.pixels.dtype == np.uint8 and found.pixels.shape == SHAPE

    def test_the_dataset_is_not_altered(self):
        ds = open_dataset(stored(dataset()))
        before = bytes(ds.PixelData)
        frame(ds).pixels[:] = 0
        assert ds.PixelData == before

    def test_the_file_is_closed_again(self, tmp_path):
        path = tmp_path / "x.dcm"
        path.write_bytes(stored(dataset()).getvalue())
        assert close(frame(open_dataset(path)).pixels, oracle(dataset()))

    def test_a_stream_that_cannot_seek_is_read(self):
        class Pipe(BytesIO):
            def seekable(self):
                return False

            def seek(self, *args):
                raise OSError("pipes do not seek")

        assert close(
            frame(open_dataset(Pipe(stored(dataset()).read()))).pixels,
            oracle(dataset()),
        )


class TestRefusals:
    """Never a stack trace: a code for the program and a sentence for a person."""

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"hello, this is a text file\n" * 40,
            bytes(range(256)) * 20,
            b"\x89PNG\r\n\x1a\n" + b"\0" * 400,
            b"\0" * 128 + b"DICN" + b"\0" * 300,
            b"\xff" * 5000,
        ],
        ids=["empty", "text", "bytes", "png", "nearly", "ones"],
    )
    def test_what_is_no_dicom(self, data):
        assert refusal(lambda: frame(open_dataset(BytesIO(data)))) == "not_dicom"

    def test_a_header_cut_within_a_sequence(self):
        """pydicom calls this an OSError, as if the disk had failed."""
        data = stored(dataset()).getvalue()
        at = 144 + int.from_bytes(data[140:144], "little")
        cut = data[:at] + b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff"
        assert refusal(lambda: open_dataset(BytesIO(cut))) == "not_dicom"

    def test_a_missing_file_is_not_the_files_fault(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            open_dataset(tmp_path / "gone.dcm")

    def test_a_broken_connection_is_not_the_files_fault(self):
        class Broken(BytesIO):
            def read(self, *args):
                raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            open_dataset(Broken(b"x"))

    @pytest.mark.parametrize(
        "syntax",
        [ExplicitVRLittleEndian, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1],
    )
    def test_a_file_cut_short(self, syntax):
        ds = dataset(
            np.random.default_rng(0).integers(0, 4096, SHAPE).astype(np.uint16)
        )
        encode = {
            JPEGLSLossless: imagecodecs.jpegls_encode,
            JPEG2000Lossless: lambda a: imagecodecs.jpeg2k_encode(a, level=0),
            JPEGLosslessSV1: lambda a: imagecodecs.jpeg8_encode(
                a, lossless=True, predictor=1, bitspersample=12
            ),
        }
        if syntax in encode:
            compressed(ds, syntax, encode[syntax](ds.pixel_array))
        data = stored(ds).getvalue()
        for share in (0.6, 0.9, 0.97):
            cut = data[: int(len(data) * share)]
            assert (
                refusal(lambda cut=cut: frame(open_dataset(BytesIO(cut))))
                == "truncated"
            )

    def test_every_way_to_cut_a_file_short_is_refused_in_words(self):
        data = stored(dataset()).getvalue()
        for end in range(0, len(data), 37):
            refusal(lambda end=end: frame(open_dataset(BytesIO(data[:end]))))

    def test_a_compressed_stream_cut_short_inside_a_whole_file(self):
        stream = imagecodecs.jpeg8_encode(grey(8), 95)[:-200]
        ds = compressed(dataset(bits=8), JPEGBaseline8Bit, stream)
        assert refusal(lambda: read(ds)) == "truncated"

    def test_a_deflated_file_cut_short(self):
        ds = dataset(
            np.random.default_rng(0).integers(0, 4096, SHAPE).astype(np.uint16)
        )
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        data = stored(ds).getvalue()
        assert (
            refusal(lambda: open_dataset(BytesIO(data[: len(data) // 2])))
            == "truncated"
        )

    def test_a_deflated_file_whose_last_bytes_come_out_late(self, monkeypatch):
        """zlib may have taken all of a file, and not given all that is in it."""
        ds = dataset()
        ds.DataSetTrailingPadding = b"\0" * (1 << 16)
        plain = stored(ds).getvalue()
        inside = plain[144 + int.from_bytes(plain[140:144], "little") :]
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        head = stored(ds).getvalue()
        head = head[: 144 + int.from_bytes(head[140:144], "little")]
        packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
        dark = 1 << 16  # behind everything else, in a block of its own: one bit a run
        data = head + packer.compress(inside[:-dark]) + packer.flush(zlib.Z_FULL_FLUSH)
        data += packer.compress(inside[-dark:]) + packer.flush()
        for left in range(1, 130):
            monkeypatch.setattr(deflated, "AT_ONCE", len(inside) - left)
            assert frame(open_dataset(BytesIO(data))).pixels.shape == SHAPE

    @pytest.mark.parametrize("seed", range(60))
    def test_damaged_bytes_give_a_frame_or_a_reason(self, seed):
        rng = np.random.default_rng(seed)
        ds = dataset()
        if seed % 3 == 1:
            compressed(ds, JPEGLSLossless, imagecodecs.jpegls_encode(grey()))
        if seed % 3 == 2:
            compressed(ds, JPEG2000Lossless, imagecodecs.jpeg2k_encode(grey(), level=0))
        data = bytearray(stored(ds).getvalue())
        for at in rng.integers(132, len(data), 12):
            data[at] = rng.integers(256)
        try:
            frame(open_dataset(BytesIO(bytes(data))))
        except UnreadableFrame as error:
            assert error.code in CODES and error.reason

    def test_colour(self):
        ds = dataset(bits=8, SamplesPerPixel=3, PhotometricInterpretation="RGB")
        assert refusal(lambda: read(ds)) == "colour"
        ds = dataset(bits=8, PhotometricInterpretation="PALETTE COLOR")
        assert refusal(lambda: read(ds)) == "colour"

    def test_several_frames(self):
        assert refusal(lambda: read(dataset(NumberOfFrames=2))) == "multi_frame"
        assert read(dataset(NumberOfFrames=1)).shape == SHAPE

    @pytest.mark.parametrize(
        ("sop_class", "modality"),
        [
            (EncapsulatedPDFStorage, "DOC"),
            (KeyObjectSelectionDocumentStorage, "KO"),
            (SegmentationStorage, "SEG"),
            ("1.2.840.10008.5.1.4.1.1.88.33", "SR"),
            ("1.2.840.10008.5.1.4.1.1.11.1", "PR"),
            ("1.2.840.10008.1.3.10", ""),
            ("1.2.3.4.5", "SR"),
        ],
    )
    def test_objects_that_are_no_images(self, sop_class, modality):
        ds = dataset(SOPClassUID=sop_class, Modality=modality)
        assert refusal(lambda: read(ds)) == "not_an_image"

    def test_no_pixels(self):
        ds = dataset()
        del ds.PixelData
        assert refusal(lambda: read(ds)) == "no_pixels"
        assert refusal(lambda: read(dataset(Rows=0))) == "no_pixels"

    def test_one_grey_all_over(self):
        assert refusal(lambda: read(dataset(np.full(SHAPE, 700, np.uint16)))) == "blank"

    def test_what_nobody_can_decode(self):
        ds = compressed(dataset(), MPEG2MPML, b"\0" * 100)
        assert refusal(lambda: read(ds)) == "undecodable"
        ds = compressed(dataset(), JPEGLosslessSV1, b"no jpeg at all")
        assert refusal(lambda: read(ds)) == "undecodable"
        assert refusal(lambda: read(dataset(BitsAllocated=32))) == "undecodable"

    def test_a_stream_of_another_size_than_declared(self):
        stream = imagecodecs.jpegls_encode(np.tile(grey(), (2, 1)))
        ds = compressed(dataset(), JPEGLSLossless, stream)
        assert refusal(lambda: read(ds)) == "undecodable"


class TestHostileSizes:
    """Refused before memory is asked for: run in little of it."""

    def in_little_memory(self, data: bytes, tmp_path) -> str:
        path = tmp_path / "bomb.dcm"
        path.write_bytes(data)
        code = (
            "import resource, sys; from pathlib import Path\n"
            "from inference import dicom\n"
            "pages = int(open('/proc/self/statm').read().split()[0])\n"
            "most = pages * resource.getpagesize() + (160 << 20)\n"
            "resource.setrlimit(resource.RLIMIT_AS, (most, most))\n"
            "dicom.MAX_BYTES = 128 << 20\n"
            "try: dicom.frame(dicom.open_dataset(Path(sys.argv[1])))\n"
            "except dicom.UnreadableFrame as error: print(error.code, error.reason)\n"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True
        )
        return ran.stdout.strip() or ran.stderr[-300:]

    def test_more_pixels_than_any_radiograph(self, tmp_path):
        data = stored(dataset(Rows=65535, Columns=65535)).getvalue()
        assert self.in_little_memory(data, tmp_path).startswith("too_large")

    def test_a_jpeg_stream_that_promises_more_than_the_header(self, tmp_path):
        stream = bytearray(imagecodecs.jpeg8_encode(grey(8), 90))
        at = stream.find(b"\xff\xc0")
        stream[at + 5 : at + 9] = b"\xff\xdc\xff\xdc"
        ds = compressed(dataset(bits=8), JPEGBaseline8Bit, bytes(stream))
        said = self.in_little_memory(stored(ds).getvalue(), tmp_path)
        assert said.startswith("undecodable The header declares 48 x 40 pixels")

    def test_a_jpeg_2000_stream_that_promises_more_than_the_header(self, tmp_path):
        stream = bytearray(imagecodecs.jpeg2k_encode(grey(), level=0))
        at = stream.find(b"\xff\x4f\xff\x51")
        stream[at + 8 : at + 16] = b"\x00\x01\x00\x00" * 2
        ds = compressed(dataset(), JPEG2000Lossless, bytes(stream))
        said = self.in_little_memory(stored(ds).getvalue(), tmp_path)
        assert said.startswith("undecodable The header declares 48 x 40 pixels")

    def test_runs_that_promise_more_than_the_header(self, tmp_path):
        runs = struct.pack("<16I", 2, 64, 64, *[0] * 13) + b"\x81\x07" * 4_000_000
        data = stored(compressed(dataset(), RLELossless, runs)).getvalue()
        said = self.in_little_memory(data, tmp_path)
        assert said.startswith(("undecodable", "truncated"))
        assert "allocate" not in said and "Memory" not in said

    def test_a_file_that_inflates_without_end(self, tmp_path):
        ds = dataset()
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        head = stored(ds).getvalue()
        length = int.from_bytes(head[140:144], "little")
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        bomb = b"".join(packer.compress(b"\0" * (1 << 24)) for _ in range(10))
        data = head[: 144 + length] + bomb + packer.flush()
        assert len(data) < 2 << 20
        assert self.in_little_memory(data, tmp_path).startswith("too_large")

    def test_a_file_longer_than_any_radiograph(self, monkeypatch):
        monkeypatch.setattr(dicom, "MAX_BYTES", 3000)
        assert refusal(lambda: open_dataset(stored(dataset()))) == "too_large"

    def test_sequences_nested_without_end(self):
        ds = dataset()
        inner = Dataset()
        for _ in range(1500):
            outer = Dataset()
            outer.add_new(0x00081140, "SQ", Sequence([inner]))
            inner = outer
        head = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
        data = stored(ds).getvalue()
        at = 144 + int.from_bytes(data[140:144], "little")
        assert refusal(
            lambda: frame(open_dataset(BytesIO(data[:at] + head * 3000)))
        ) in {"not_dicom", "undecodable"}


class TestAgainstPydicom:
    """Real files: a frame equal to pydicom's, or a reason. Nothing else."""

    def test_every_sample_gives_a_frame_or_a_reason(self, sample_data):
        files = [path for path in (sample_data / "dicom").rglob("*") if path.is_file()]
        assert len(files) > 200
        read_well = 0
        for path in files:
            try:
                read_well += frame(open_dataset(path)).pixels.ndim == 2
            except UnreadableFrame as error:
                assert error.code in CODES and error.reason, path
        assert read_well >= 80

    def test_frames_equal_those_of_pydicom(self, sample_data):
        compared = 0
        for path in (sample_data / "dicom").rglob("*"):
            if not path.is_file() or (found := _both(path)) is None:
                continue
            pixels, expected, ds = found
            kept = ds.pixel_array != ds.get("PixelPaddingValue", 1 << 20)
            lossy = ds.file_meta.TransferSyntaxUID in (
                JPEGBaseline8Bit,
                JPEGExtended12Bit,
            )
            difference = np.abs(pixels - expected)[kept]
            assert difference.max() <= (1.6 if lossy else 0.51), path
            compared += 1
        assert compared >= 40

    def test_without_a_window_the_image_fills_the_range(self, sample_data):
        folder = sample_data / "dicom" / "dicom-test-files" / "data" / "WG04"
        files = sorted(folder.glob("*/RG?_J*"))
        assert len(files) >= 8
        for path in files:
            pixels = frame(open_dataset(path)).pixels
            assert pixels.std() > 30, path


def _both(path) -> tuple[np.ndarray, np.ndarray, Dataset] | None:
    """Our frame and pydicom's where the dataset declares how it is to be shown."""
    try:
        pixels = frame(open_dataset(path)).pixels
        ds = pydicom.dcmread(path, force=True)
        shown = "VOILUTSequence" in ds or ds.get("WindowWidth")
        expected = oracle(ds)
    except (
        UnreadableFrame,
        AttributeError,
        RuntimeError,
        KeyError,
        NotImplementedError,
    ):
        return None
    if not shown or expected.min() == expected.max():
        return None
    return pixels, expected, ds
