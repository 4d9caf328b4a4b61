"""Images and their captions: the folder with its file, and the generated ones."""

import numpy as np
import pytest
from PIL import Image

from seqmodels.data.formats.captions import read_captions, read_image, read_images
from seqmodels.data.synthetic.captions import WORDS, draw_digits
from seqmodels.data.synthetic.digit_images import digit_images
from seqmodels.errors import UserError


@pytest.fixture
def folder(tmp_path):
    """Three images and their captions; the last is a line shorter and in colour."""
    for name, size in (("a.png", (5, 4)), ("sub/b.png", (5, 4)), ("c.png", (5, 3))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(len(name)).integers(256, size=(size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "captions.tsv").write_text("a.png\tone dog\n\nsub/b.png\ttwo dogs, both asleep\n", "utf-8")
    return tmp_path


def error_of(call):
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_captions_are_read_with_their_lines(folder):
    captions = read_captions(str(folder))
    assert [(caption.line, caption.image.name, caption.text) for caption in captions] == [
        (1, "a.png", "one dog"),
        (3, "b.png", "two dogs, both asleep"),
    ]
    images = read_images(captions, colour=True)
    expected = np.asarray(Image.open(folder / "a.png"), np.float32).transpose(2, 0, 1) / 255
    assert images[0].dtype == np.float32
    assert np.array_equal(images[0], expected)
    assert read_images(captions)[1].shape == (1, 4, 5)


def test_the_file_of_captions_may_lie_elsewhere(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("captions") / "mine.txt"
    elsewhere.write_text("c.png\tshort\n", "utf-8")
    assert [caption.text for caption in read_captions(str(folder), str(elsewhere))] == ["short"]


def test_images_of_different_sizes_are_refused_or_resized(folder):
    (folder / "captions.tsv").write_text("a.png\tone\nsub/b.png\ttwo\nc.png\tthree\n", "utf-8")
    captions = read_captions(str(folder))
    message = error_of(lambda: read_images(captions))
    assert f"{folder / 'c.png'}: is 3 x 5 pixels high and wide, but {folder / 'a.png'} is 4 x 5" in message
    assert "data.image_size" in message
    assert {image.shape for image in read_images(captions, size=(6, 7))} == {(1, 6, 7)}


@pytest.mark.parametrize(
    "line, message",
    [
        ("a.png one dog", "line 2: 'a.png one dog': expected an image's file, a tab and its caption"),
        ("a.png\t", "line 2: 'a.png\\t': expected an image's file, a tab and its caption"),
        ("d.png\tfour", "line 2: d.png: there is no such image in "),
    ],
)
def test_a_line_that_cannot_be_used_is_told(folder, line, message):
    (folder / "captions.tsv").write_text(f"a.png\tone\n{line}\n", "utf-8")
    assert f"{folder / 'captions.tsv'}: {message}" in error_of(lambda: read_captions(str(folder)))


def test_missing_and_damaged_files_are_told(folder):
    assert "data.path=nowhere" in error_of(lambda: read_captions("nowhere"))
    assert f"data.captions={folder / 'no.tsv'}" in error_of(lambda: read_captions(str(folder), str(folder / "no.tsv")))
    (folder / "captions.tsv").write_text("\n", "utf-8")
    assert "is empty" in error_of(lambda: read_captions(str(folder)))
    damaged = folder / "a.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    assert f"{damaged}: is no image that can be read" in error_of(lambda: read_image(damaged))


def test_no_part_shows_a_digit_of_another():
    parts = [{image.tobytes() for image in digit_images(part)[0]} for part in ("train", "val", "test")]
    assert [len(part) for part in parts] == [1438, 179, 180]  # and no two digits are the same
    assert len(set.union(*parts)) == 1797


def test_generated_captions_tell_what_the_image_shows():
    images, digits = digit_images("test")
    shown = {image.tobytes(): WORDS[digit] for image, digit in zip(images, digits, strict=True)}
    lengths, captions = set(), set()
    for number in range(200):
        image, caption = draw_digits(np.random.default_rng([1, number]), "test")
        words = caption.split()
        lengths.add(len(words))
        captions.add(caption)
        found = {
            column: shown[patch]
            for row in range(5)
            for column in range(37)
            if (patch := image[0, row : row + 8, column : column + 8].tobytes()) in shown
        }
        assert [word for _, word in sorted(found.items())] == words
    assert lengths == {1, 2, 3, 4}
    assert len(captions) > 140
    again = draw_digits(np.random.default_rng([1, 199]), "test")
    assert np.array_equal(again[0], image)
    assert again[1] == caption


@pytest.mark.parametrize("colour", [False, True])
def test_sixteen_bits_of_grey_are_shades(tmp_path, colour):
    deep = np.array([[0, 1000], [30000, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    image = read_image(tmp_path / "deep.png", colour)
    assert image.shape == (3 if colour else 1, 2, 2)
    np.testing.assert_allclose(image, np.broadcast_to(deep / 65535, image.shape), atol=1e-6)
