"""Front end of words with their characters."""

import torch
from torch import Tensor, nn

from seqmodels.models.checks import check_probabilities, check_sizes
from seqmodels.models.frontends.frontend import Frontend


class WordsWithCharacters(Frontend):
    """A learned vector for each word, beside one that is made of its characters.

    The latter is the largest value over the word of each feature of a convolution over its characters, so that words
    that training has not seen are known by their beginnings, endings and capitals (dos Santos and Zadrozny 2014,
    "Learning character-level representations for part-of-speech tagging"; Ma and Hovy 2016, arXiv:1603.01354).

    Args:
        num_words: Number of words; 0 is that of unknown ones.
        num_characters: Number of characters; 0 is none, after the end of a word.
        size: Features of a word's vector.
        character_size: Features of a character's vector.
        character_features: Features that are made of the characters of a word.
        width: Characters that one of those sees.
        word_dropout: Probability of taking a word for an unknown one in training, so that these are learned too.

    Raises:
        ValueError: A size is below 1, or the probability out of range.

    Example:
        >>> frontend = WordsWithCharacters(num_words=100, num_characters=30, size=16, character_features=8)
        >>> frontend(torch.zeros(2, 7, 1 + 20, dtype=torch.long)).shape
        torch.Size([2, 7, 24])
    """

    def __init__(
        self,
        num_words: int,
        num_characters: int,
        size: int = 100,
        character_size: int = 32,
        character_features: int = 64,
        width: int = 3,
        word_dropout: float = 0.1,
    ):
        super().__init__()
        check_sizes(num_words=num_words, num_characters=num_characters, size=size, width=width)
        check_sizes(character_size=character_size, character_features=character_features)
        check_probabilities(word_dropout=word_dropout)
        self.features = size + character_features
        self.word_dropout = word_dropout
        self.words = nn.Embedding(num_words, size)
        self.characters = nn.Embedding(num_characters, character_size, padding_idx=0)
        self.edge = max(width - 1, 1)
        self.convolution = nn.Conv1d(character_size, character_features, width, padding=self.edge)

    def forward(self, inputs: Tensor) -> Tensor:
        """Turns words and their characters `(..., 1 + characters)` into `(..., size + character_features)`."""
        words, characters = inputs[..., 0], inputs[..., 1:]
        if self.training and self.word_dropout:
            words = words.masked_fill(torch.rand(words.shape, device=words.device) < self.word_dropout, 0)
        return torch.cat([self.words(words), self._spelling(characters)], -1)

    def _spelling(self, characters: Tensor) -> Tensor:
        # Each word once: a text repeats them, and a batch is padded with empty ones.
        spelled, places = characters.flatten(0, -2).unique(dim=0, return_inverse=True)
        lengths = spelled.count_nonzero(-1)
        embedded = self.characters(spelled[:, : max(int(lengths.max()), 1)]).transpose(1, 2)
        features = self.convolution(embedded)
        # What lies behind a word, because another one is longer, is no part of it.
        behind = torch.arange(features.shape[-1], device=lengths.device) >= lengths[:, None] + self.edge
        largest = features.masked_fill(behind[:, None], -torch.inf).amax(-1)
        return largest[places].unflatten(0, characters.shape[:-1])
