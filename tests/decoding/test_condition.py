"""Texts conditioned on a class or an image: what a user may ask for, and what the writer makes of it."""

import numpy as np
import pytest
import torch
from PIL import Image

from seqmodels.data import CharTokenizer
from seqmodels.decoding import Condition, Sampling, TextWriter, read_context
from seqmodels.errors import UserError
from seqmodels.models import ClassEmbedding, LanguageModel, SmallCNN
from seqmodels.nn import GRUCell

CLASSES = Condition(["jig", "reel"])
IMAGES = Condition(image_channels=1, image_size=(8, 12))
GREEDY = Sampling(0)


def spec_of(context):
    tokenizer = CharTokenizer()
    tokenizer.fit(["abcdefgh"])
    tokenizer.add_special_tokens(["<bos>", "<eos>"])
    spec = {"kind": "text", "tokenizer": tokenizer.to_spec(), "unk": 0, "bos": 9, "eos": 10}
    return {**spec, "context": context} if context else spec


def writer(context=None, frontend=lambda: None, use="both"):
    torch.manual_seed(0)
    model = LanguageModel(11, GRUCell, hidden_size=16, embedding_size=8, context=frontend(), context_use=use)
    for parameter in model.parameters():
        parameter.data *= 4  # far from indifferent, so that different contexts are different texts
    return TextWriter.from_spec(model.eval(), spec_of(context))


@pytest.mark.parametrize("use", ["state", "inputs", "both"])
def test_texts_follow_their_context_in_a_batch_and_alone(use):
    made = writer({"kind": "classes", "classes": ["jig", "reel", "waltz"]}, lambda: ClassEmbedding(3, 8), use)
    contexts = torch.tensor([0, 1, 2, 1])
    texts = made.write("a", 30, GREEDY, 4, contexts=contexts)
    assert texts[1] == texts[3]
    assert len({*texts}) > 1
    alone = ["".join(made.stream("a", 30, GREEDY, context=context)) for context in contexts]
    assert alone == texts
    # What is written is what the model finds likeliest, with the context at every step, read from the beginning.
    ids = [9, *made.tokenizer.encode("a" + texts[2]).tolist()]
    with torch.no_grad():
        logits, _ = made.model(torch.tensor([ids]), context=torch.tensor([2]))
    logits[..., [0, 9]] = -torch.inf
    assert logits[0].argmax(-1).tolist()[1 : len(ids) - 1] == ids[2:]


def test_a_writer_of_images_follows_the_image():
    made = writer({"kind": "images", "image_channels": 1, "image_size": [8, 12]}, lambda: SmallCNN(1, size=16))
    assert made.condition == IMAGES
    images = torch.stack([torch.zeros(1, 8, 12), torch.rand(1, 8, 12) * 9])
    texts = made.write(None, 30, GREEDY, 2, contexts=images)
    assert texts[0] != texts[1]
    assert "".join(made.stream(None, 30, GREEDY, context=images[1])) == texts[1]


def test_plain_text_has_no_condition():
    made = writer()
    assert made.condition is None
    assert read_context(None, None, None) is None
    for arguments, key in ((("reel", None), "class=reel"), ((None, "a.png"), "image=a.png")):
        with pytest.raises(UserError, match=f"{key}: the texts of this run are conditioned on nothing"):
            read_context(None, *arguments)


@pytest.mark.parametrize(
    "condition, class_name, image, message",
    [
        (CLASSES, "polka", None, "class=polka: expected one of jig, reel"),
        (CLASSES, None, None, "class=null: expected one of jig, reel"),
        (CLASSES, None, "a.png", "image=a.png: this run writes by class"),
        (IMAGES, "reel", None, "class=reel: this run writes of images"),
        (IMAGES, None, None, "image=null: this run writes of images"),
        (IMAGES, None, "missing.png", "image=missing.png: there is no such file"),
    ],
)
def test_what_a_run_is_not_conditioned_on_is_told(condition, class_name, image, message):
    with pytest.raises(UserError) as caught:
        read_context(condition, class_name, image)
    assert str(caught.value).startswith(message)


def test_an_image_is_brought_to_the_size_of_the_others(tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(16, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = read_context(IMAGES, None, str(tmp_path / "a.png"))
    assert image.shape == (1, 8, 12)
    assert float(image.mean()) == pytest.approx(0.5, abs=0.1)
    assert Condition(image_channels=3, image_size=(16, 24)).of_image(str(tmp_path / "a.png")).shape == (3, 16, 24)


def test_a_damaged_spec_is_told():
    for context in ({"kind": "classes"}, {"kind": "images", "image_channels": 1}, {"classes": ["a"]}, ["a"]):
        with pytest.raises(UserError, match=r"spec\.json: its context cannot be read"):
            Condition.from_spec(spec_of(context))
