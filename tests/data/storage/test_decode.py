import base64
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgenas.data.storage.decode import Unreadable, decode, decode_deep, square, to_rgb, white_of
from tests.data.writers import encoded, noise

GREY = np.full((8, 8), 100, dtype=np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def deep_grey(value: int) -> bytes:
    return saved(Image.fromarray(np.full((8, 8), value, dtype=np.uint16)))


def palette(transparent: bool) -> bytes:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 200, 10, 20])
    return saved(image, transparency=1) if transparent else saved(image)


def animated(kind: str = "PNG") -> bytes:
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ((10, 20, 30), (90, 90, 90)))
    return saved(first, kind, save_all=True, append_images=[second])


@pytest.mark.parametrize(
    "content, colour",
    [
        (saved(Image.new("RGB", (8, 8), (10, 20, 30))), (10, 20, 30)),
        (saved(Image.fromarray(GREY)), (100, 100, 100)),
        (saved(Image.fromarray(GREY), "JPEG"), (100, 100, 100)),
        (saved(Image.new("1", (8, 8), 1)), (255, 255, 255)),
        (deep_grey(65535), (255, 255, 255)),
        (deep_grey(257 * 100), (100, 100, 100)),
        (deep_grey(300), (1, 1, 1)),
        (saved(Image.new("RGBA", (8, 8), (10, 20, 30, 255))), (10, 20, 30)),
        (saved(Image.new("RGBA", (8, 8), (10, 20, 30, 0))), (255, 255, 255)),
        (saved(Image.new("RGBA", (8, 8), (0, 0, 0, 51))), (204, 204, 204)),
        (saved(Image.new("LA", (8, 8), (0, 0))), (255, 255, 255)),
        (saved(Image.new("RGB", (8, 8), (1, 2, 3)), transparency=(1, 2, 3)), (255, 255, 255)),
        (palette(transparent=False), (200, 10, 20)),
        (palette(transparent=True), (255, 255, 255)),
        (saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), (255, 0, 0)),
        (animated(), (10, 20, 30)),
        (animated("GIF"), (10, 20, 30)),
        (saved(Image.new("RGB", (8, 8), (10, 20, 30)), "WEBP", lossless=True), (10, 20, 30)),
        (saved(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "WEBP", lossless=True, exact=True), (255, 255, 255)),
        (saved(Image.new("RGB", (8, 8), (10, 20, 30)), "BMP"), (10, 20, 30)),
        (saved(Image.new("RGB", (8, 8), (10, 20, 30)), "TIFF"), (10, 20, 30)),
        (saved(Image.fromarray(np.full((8, 8), 65535, dtype=np.uint16)), "TIFF"), (255, 255, 255)),
        (saved(Image.new("RGB", (16, 16), (100, 100, 100)), "AVIF"), (100, 100, 100)),
        (saved(Image.new("RGB", (1, 1), (10, 20, 30))), (10, 20, 30)),
    ],
)
def test_every_kind_becomes_rgb(content, colour):
    image = decode(content)
    assert image.mode == "RGB"
    np.testing.assert_allclose(np.asarray(image)[0, 0], colour, atol=2)
    np.testing.assert_allclose(np.asarray(square(image, 4)).reshape(-1, 3), [colour] * 16, atol=2)


@pytest.mark.parametrize("orientation, corner", [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0)), (2, (0, -1))])
def test_exif_rotation_is_applied(orientation, corner):
    image = np.zeros((16, 24, 3), dtype=np.uint8)
    image[:4, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = np.asarray(decode(saved(Image.fromarray(image), exif=exif)))
    assert upright.shape[:2] == ((24, 16) if orientation in (6, 8) else (16, 24))
    assert upright[corner].min() == 255 and (upright[:, :, 0] == 255).sum() == 16


def claims_to_be(width: int, height: int) -> bytes:
    """A PNG whose header promises more pixels than anyone has memory for."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    body = b"IDAT" + zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "no image of a format that is read"),
        (b"text named .jpg", "no image of a format that is read"),
        (saved(Image.fromarray(GREY), "PPM"), "no image of a format that is read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "no image of a format that is read"),
        (saved(Image.new("F", (8, 8), 0.5), "TIFF"), "fractions"),
        (encoded(noise(64, 64, 3), "JPEG")[:900], "truncated"),
        (encoded(noise(64, 64, 3))[:900], "truncated"),
        (encoded(noise(64, 64, 3), "JPEG")[:30], "Truncated"),
        (claims_to_be(60000, 60000), "decompression bomb"),
        (claims_to_be(0, 5), "no image"),
    ],
)
def test_what_is_no_image_says_why(content, reason):
    with pytest.raises(Unreadable, match=reason):
        decode(content)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_large_photograph_is_reduced_while_it_is_read():
    content = saved(Image.new("L", (12000, 12000), 77), "JPEG")
    image = decode(content, 96)
    assert 192 <= image.width <= 1500
    assert np.asarray(square(image, 96)).mean() == pytest.approx(77, abs=1)


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (2, 5), (1, 1)])
def test_a_square_of_any_aspect(shape):
    assert square(Image.fromarray(noise(*shape, 3)), 32).size == (32, 32)


def test_square_is_the_centre():
    image = np.zeros((10, 30, 3), dtype=np.uint8)
    image[:, 10:20] = 255
    assert np.asarray(square(Image.fromarray(image), 10)).min() == 255


@given(st.integers(1, 65535))
def test_white_holds_the_largest_value_and_is_all_ones(top):
    white = white_of([0, top])
    assert top <= white <= 65535 and white & (white + 1) == 0
    assert white == 255 or white < 2 * top


@pytest.mark.parametrize("white, value", [(65535, 16), (4095, 255), (255, 255)])
def test_what_is_white_becomes_255(white, value):
    image, size, largest = decode_deep(deep_grey(4095), white=white)
    assert np.asarray(image).max() == value and largest == 4095
    assert size == (image.height, image.width)
    assert decode_deep(saved(Image.fromarray(GREY))).largest == 0


# 16 x 16 pixels of one red, by pillow-heif.
HEIC = """
AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAAAAAERA
AAEAAQAAAAABoAABAAAAAAAAADcAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/GlwcnAAAADcaXBjbwAA
AHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq
rprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAAAAEAAAAAEAAAAQ
AAAAAf///9AAAAAC////0AAAAAIAAAAQcGl4aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYECAwWEAAAAP21kYXQAAAAzKAGvBjIWhzSJIPC/tzX/
//DX/Zft6NrNbJ64R+hjx+S3kJGe9F97GFLlPHQg9JxTuc2A
"""


def test_heic_is_read_with_its_extra():
    pytest.importorskip("pi_heif", reason="the extra heic is not installed")
    image = decode(base64.b64decode(HEIC))
    assert image.size == (16, 16)
    np.testing.assert_allclose(np.asarray(image)[3, 3], (200, 20, 20), atol=3)


def test_heic_names_its_extra(tmp_path, monkeypatch):
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    monkeypatch.setattr("edgenas.data.storage.decode.reads_heic", lambda: False)
    with pytest.raises(Unreadable, match=r"edgenas\[heic\]"):
        decode(tmp_path / "IMG_1.HEIC")


@pytest.mark.parametrize("image", [Image.new("RGBA", (8, 4), (0, 0, 0, 51)), Image.new("I;16", (8, 4), 4000)])
def test_an_open_image_becomes_what_its_file_does(image):
    found = to_rgb(image, 4095)
    assert (np.asarray(found) == np.asarray(decode(saved(image), white=4095))).all()
