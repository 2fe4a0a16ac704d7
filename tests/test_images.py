import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ilsegkit.errors import ImageError
from ilsegkit.images import fitting_mask, image_size, read_image, read_mask, write_mask

PHOTO = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


class TestReadImage:
    def test_path_text_and_pil(self, tmp_path):
        path = tmp_path / "photo.png"
        Image.fromarray(PHOTO).save(path)
        for source in (path, str(path), Image.open(path), Image.fromarray(PHOTO), PHOTO, PHOTO.tolist()):
            image = read_image(source)
            assert image.dtype == np.uint8
            np.testing.assert_array_equal(image, PHOTO)

    def test_a_damaged_file_that_pil_has_opened(self, tmp_path):
        path = tmp_path / "a.jpg"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(ImageError, match="cannot be decoded"):
            read_image(Image.open(path))

    def test_the_result_is_a_copy(self):
        source = PHOTO.copy()
        image = read_image(source)
        image[:] = 0
        np.testing.assert_array_equal(source, PHOTO)

    @pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1)])
    def test_grey_becomes_three_equal_channels(self, shape):
        grey = PHOTO[..., 0].reshape(shape)
        image = read_image(grey)
        assert image.shape == (5, 7, 3)
        for channel in range(3):
            np.testing.assert_array_equal(image[..., channel], PHOTO[..., 0])

    def test_one_pixel(self):
        assert read_image(np.array([[[1, 2, 3]]], np.uint8)).tolist() == [[[1, 2, 3]]]

    def test_alpha_is_laid_over_white(self):
        array = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 255, 128]]], np.uint8)
        expected = [[[10, 20, 30], [255, 255, 255], [127, 177, 255]]]
        assert read_image(array).tolist() == expected
        assert read_image(Image.fromarray(array)).tolist() == expected

    def test_grey_with_alpha(self):
        image = Image.new("LA", (2, 1))
        image.putdata([(40, 255), (40, 0)])
        assert read_image(image).tolist() == [[[40] * 3, [255] * 3]]

    def test_booleans(self):
        assert read_image(np.array([[True, False]]))[..., 0].tolist() == [[255, 0]]
        assert read_image(Image.new("1", (2, 1), 1))[..., 0].tolist() == [[255, 255]]

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_floats_from_0_to_1(self, dtype):
        # Not stretched: a dim picture in 0-1 stays dim.
        assert read_image(np.array([[0, 0.2, 0.4]], dtype))[..., 0].tolist() == [[0, 51, 102]]

    def test_other_floats_are_stretched(self):
        assert read_image(np.array([[-1.0, 0.0, 1.0]]))[..., 0].tolist() == [[0, 128, 255]]
        assert read_image(np.array([[0.0, 1000.0, 2000.0]]))[..., 0].tolist() == [[0, 128, 255]]

    def test_16_bits_are_stretched(self, tmp_path):
        scan = np.array([[100, 1100, 2100]], np.uint16)
        Image.fromarray(scan).save(tmp_path / "scan.png")
        for source in (scan, scan.astype(">u2"), tmp_path / "scan.png"):
            assert read_image(source)[..., 0].tolist() == [[0, 128, 255]]

    def test_integers_that_fit_8_bits_are_kept(self):
        assert read_image(np.array([[3, 100, 200]], np.int64))[..., 0].tolist() == [[3, 100, 200]]

    @pytest.mark.parametrize("value", [0, 7, 65535])
    def test_a_constant_picture(self, value):
        assert len(np.unique(read_image(np.full((3, 4), value, np.uint16)))) == 1

    def test_palette(self, tmp_path):
        image = Image.new("P", (2, 1))
        image.putpalette([0, 0, 0, 200, 100, 50])
        image.putdata([0, 1])
        image.save(tmp_path / "palette.png")
        assert read_image(tmp_path / "palette.png").tolist() == [[[0, 0, 0], [200, 100, 50]]]

    def test_transparent_palette(self, tmp_path):
        image = Image.new("P", (2, 1))
        image.putpalette([0, 0, 0, 200, 100, 50])
        image.putdata([0, 1])
        image.save(tmp_path / "palette.png", transparency=0)
        assert read_image(tmp_path / "palette.png").tolist() == [[[255, 255, 255], [200, 100, 50]]]

    def test_cmyk(self, tmp_path):
        Image.new("CMYK", (2, 3), (0, 0, 0, 0)).save(tmp_path / "print.jpg")
        assert (read_image(tmp_path / "print.jpg") == 255).all()

    @pytest.mark.parametrize(("tag", "turned"), [(1, 0), (3, 2), (6, 3), (8, 1)])
    def test_exif_rotation(self, tmp_path, tag, turned):
        exif = Image.Exif()
        exif[0x0112] = tag
        Image.fromarray(PHOTO).save(tmp_path / "phone.png", exif=exif)
        np.testing.assert_array_equal(read_image(tmp_path / "phone.png"), np.rot90(PHOTO, turned))

    @pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
    def test_the_size_is_that_of_the_upright_image(self, tmp_path, suffix):
        exif = Image.Exif()
        exif[0x0112] = 6
        path = tmp_path / f"phone.{suffix}"
        Image.fromarray(PHOTO).save(path, exif=exif)
        assert image_size(path) == read_image(path).shape[:2] == PHOTO.shape[1::-1]

    @pytest.mark.parametrize("suffix", ["png", "jpg"])
    @pytest.mark.parametrize(
        ("tags", "turned"),
        [
            ([(0x0112, 3, 1, b"\0\0\0\0")], 0),
            ([(0x0112, 3, 1, b"\x09\0\0\0")], 0),
            ([(0x0112, 2, 2, b"6\0\0\0")], 0),  # in letters
            ([(0x0112, 3, 1, b"\x06\0\0\0"), (0x011A, 2, 3, b"ab\0\0")], 3),  # the resolution in letters
            ([(0x0100, 2, 3, b"ab\0\0"), (0x0112, 3, 1, b"\x06\0\0\0")], 3),
        ],
    )
    def test_odd_metadata_do_not_make_a_bad_picture(self, tmp_path, suffix, tags, turned):
        entries = b"".join(struct.pack("<HHI", *tag[:3]) + tag[3] for tag in tags)
        exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
        path = tmp_path / f"phone.{suffix}"
        Image.fromarray(PHOTO).save(path, exif=exif, **({"quality": 100} if suffix == "jpg" else {}))
        assert read_image(path).shape == np.rot90(PHOTO, turned).shape
        assert image_size(path) == read_image(path).shape[:2]

    @pytest.mark.parametrize("kind", ["png", "tif", "planes.tif"])
    def test_colours_of_16_bits_are_stretched_or_refused(self, tmp_path, kind):
        values = np.arange(4 * 5 * 3, dtype=np.uint16).reshape(4, 5, 3) * 69  # 12 bits
        path = tmp_path / f"scan.{kind}"
        if kind == "png":
            rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
            parts = [(b"IHDR", struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
            chunks = [struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in parts]
            path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
            for read in (read_image, image_size):
                with pytest.raises(ImageError, match=r"^'.*scan.png' has colours of 16 bits, which [^']*$"):
                    read(path)
            return
        tifffile = pytest.importorskip("tifffile")
        planes = kind != "tif"
        data = np.moveaxis(values, -1, 0) if planes else values
        tifffile.imwrite(path, data, photometric="rgb", planarconfig="separate" if planes else "contig")
        np.testing.assert_array_equal(read_image(path), read_image(values))

    @pytest.mark.parametrize("planes", ["contig", "separate"])
    def test_a_fourth_band_of_16_bits_is_no_alpha_unless_it_says_so(self, tmp_path, planes):
        tifffile = pytest.importorskip("tifffile")
        values = np.random.default_rng(0).integers(0, 60_000, (20, 30, 4), dtype=np.uint16)
        data = np.moveaxis(values, -1, 0) if planes == "separate" else values
        for kind, expected in (("unspecified", values[..., :3]), ("unassalpha", values)):
            tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", extrasamples=(kind,), planarconfig=planes)
            np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), read_image(expected))

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_turned_scan_of_16_bits(self, tmp_path, orientation):
        tifffile = pytest.importorskip("tifffile")
        values = np.arange(6 * 8 * 3, dtype=np.uint16).reshape(6, 8, 3) * 200
        tag = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extratags=tag)
        tifffile.imwrite(tmp_path / "b.tif", read_image(values), photometric="rgb", extratags=tag)  # Pillow turns this one
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), read_image(tmp_path / "b.tif"))
        assert image_size(tmp_path / "a.tif") == read_image(tmp_path / "a.tif").shape[:2]

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_nan_and_infinity(self, value):
        array = np.zeros((4, 4, 3))
        array[1, 2, 0] = value
        with pytest.raises(ImageError, match="NaN or infinity"):
            read_image(array)

    def test_a_file_with_nan_is_named(self, tmp_path):
        path = tmp_path / "height.tif"
        Image.fromarray(np.array([[0.5, np.nan]], np.float32)).save(path)
        for read in (read_image, image_size):
            with pytest.raises(ImageError, match=r"height.tif' cannot be used: the image holds NaN"):
                read(path)

    @pytest.mark.parametrize("shape", [(3, 5, 7, 3), (5, 7, 2), (5, 7, 5), (7,), ()])
    def test_shapes_that_are_no_image(self, shape):
        with pytest.raises(ImageError, match="H x W"):
            read_image(np.zeros(shape, np.uint8))

    @pytest.mark.parametrize("shape", [(0, 7, 3), (5, 0)])
    def test_empty(self, shape):
        with pytest.raises(ImageError, match="empty"):
            read_image(np.zeros(shape, np.uint8))

    @pytest.mark.parametrize("source", [None, np.array([["a", "b"]]), np.zeros((3, 3), complex), {"a": 1}])
    def test_what_is_no_image_at_all(self, source):
        with pytest.raises(ImageError, match="cannot be used"):
            read_image(source)

    def test_missing_file(self, tmp_path):
        with pytest.raises(ImageError, match=r"no image file '.*nowhere\.png'"):
            read_image(tmp_path / "nowhere.png")

    @pytest.mark.parametrize("suffix", ["png", "jpg"])
    def test_truncated_file(self, tmp_path, suffix):
        path = tmp_path / f"half.{suffix}"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(ImageError, match="damaged"):
            read_image(path)

    def test_text_and_folders_are_no_images(self, tmp_path):
        (tmp_path / "notes.jpg").write_text("not a picture")
        for path in (tmp_path / "notes.jpg", tmp_path):
            with pytest.raises(ImageError, match="cannot be read"):
                read_image(path)


class TestMasks:
    MASK = np.random.default_rng(1).random((5, 7)) < 0.5

    def test_round_trip_in_black_and_white(self, tmp_path):
        write_mask(tmp_path / "mask.png", self.MASK)
        labels = read_mask(tmp_path / "mask.png")
        assert np.unique(labels).tolist() == [0, 255]
        np.testing.assert_array_equal(labels == 255, self.MASK)
        assert [path.name for path in tmp_path.iterdir()] == ["mask.png"]  # no scratch file is left

    @pytest.mark.parametrize("mask", [np.zeros((1, 1)), np.ones((1, 1), int), np.full((2, 3), 7)])
    def test_any_truth_value(self, tmp_path, mask):
        write_mask(tmp_path / "mask.png", mask)
        np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), (mask != 0) * 255)

    def test_an_old_mask_is_replaced(self, tmp_path):
        write_mask(tmp_path / "mask.png", self.MASK)
        write_mask(tmp_path / "mask.png", ~self.MASK)
        np.testing.assert_array_equal(read_mask(tmp_path / "mask.png") == 0, self.MASK)

    def test_where_nothing_can_be_written(self, tmp_path):
        with pytest.raises(ImageError, match="another place"):
            write_mask(tmp_path / "no" / "folder" / "mask.png", self.MASK)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_mask_is_turned_like_its_image(self, tmp_path, orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture = Image.fromarray(self.MASK.astype(np.uint8) * 255)
        picture.save(tmp_path / "mask.png", exif=exif)
        np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), read_image(tmp_path / "mask.png")[..., 0])

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_labels_stay_as_they_are(self, tmp_path, dtype):
        labels = np.array([[0, 1, 2], [3, 128, 255]], dtype)
        Image.fromarray(labels).save(tmp_path / "labels.png")
        np.testing.assert_array_equal(read_mask(tmp_path / "labels.png"), labels)

    def test_labels_of_a_palette_image_are_its_indices(self, tmp_path):
        image = Image.new("P", (2, 1))
        image.putpalette([0, 0, 0, 128, 0, 0])
        image.putdata([0, 1])
        image.save(tmp_path / "labels.png")
        assert read_mask(tmp_path / "labels.png").tolist() == [[0, 1]]

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
    def test_channels_that_are_alike_are_one(self, tmp_path, mode):
        grey = PHOTO[..., 0]
        Image.fromarray(grey).convert(mode).save(tmp_path / "mask.png")
        np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), grey)

    @pytest.mark.parametrize("channel", [0, 1, 2])
    def test_an_object_may_have_any_colour_but_labels_may_not(self, tmp_path, channel):
        colour = np.zeros((3, 4, 3), np.uint8)
        colour[1, 1:3, channel] = 255
        Image.fromarray(colour).save(tmp_path / "mask.png")
        assert fitting_mask(tmp_path / "mask.png", (3, 4), "a.png", "true mask").sum() == 2
        with pytest.raises(ImageError, match="colour picture"):
            read_mask(tmp_path / "mask.png")

    def test_missing_and_damaged(self, tmp_path):
        with pytest.raises(ImageError, match="no mask file"):
            read_mask(tmp_path / "mask.png")
        (tmp_path / "mask.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
        with pytest.raises(ImageError, match="damaged"):
            read_mask(tmp_path / "mask.png")
