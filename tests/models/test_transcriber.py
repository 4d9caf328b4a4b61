"""The transcriber and the front end of frames: fewer steps, and padding that changes nothing."""

import pytest
import torch

from seqmodels.models import Encoder, StackedFrames, Transcriber
from seqmodels.nn import GRUCell


def transcriber(factor=3, **settings):
    torch.manual_seed(0)
    return Transcriber(Encoder(StackedFrames(4, factor), GRUCell, hidden_size=6), vocab_size=5, bos=3, **settings)


def test_stacked_frames_stand_side_by_side_and_what_is_left_is_dropped():
    frames = torch.arange(14.0).view(1, 7, 2)
    stacked = StackedFrames(num_features=2, factor=3)
    assert stacked.features == 6
    assert stacked(frames).tolist() == [[[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]]
    assert stacked.lengths(torch.tensor([7, 6, 5, 1])).tolist() == [2, 2, 1, 1]
    assert stacked(frames[:, :2]).tolist() == [[[0, 1, 2, 3, 0, 0]]]  # too few for one


@pytest.mark.parametrize("garbage", [0.0, 1e3])
def test_padding_of_frames_changes_no_logits(garbage):
    model = transcriber().eval()
    source = torch.randn(2, 11, 4)
    alone = model(source[1:, :8], torch.tensor([8]))
    source[1, 8:] = garbage
    beside = model(source, torch.tensor([11, 8]))
    assert beside.shape == (2, 3, 5)
    assert torch.allclose(beside[1, :2], alone[0], atol=1e-6)
    assert beside[1, 2].softmax(-1).tolist() == [0, 0, 0, 1, 0]  # the blank, for sure


def test_lengths_that_are_left_out_are_the_whole():
    model = transcriber().eval()
    source = torch.randn(2, 9, 4)
    assert torch.allclose(model(source), model(source, torch.tensor([9, 9])))


def test_sizes_out_of_range_are_refused():
    with pytest.raises(ValueError, match="factor=0"):
        StackedFrames(4, factor=0)
    with pytest.raises(ValueError, match="bos=5: expected an id from 0 to 4"):
        Transcriber(Encoder(StackedFrames(4), GRUCell), vocab_size=5, bos=5)
