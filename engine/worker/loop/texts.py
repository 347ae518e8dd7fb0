"""Text to tokens and back, without a generation."""

from __future__ import annotations

from engine.errors import BadInput
from engine.types import TokenizeRequest, Tokens
from engine.worker.backend import Vocabulary
from engine.worker.loop.prepare import Preparer


class VocabularyTexts:
    """Answers questions about tokens for one vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def tokens(self, request: TokenizeRequest) -> Tokens:
        """The tokens of a text."""
        ids = tuple(self._vocabulary.encode(request.text, special=request.parse_special))
        # A vocabulary that wants a beginning puts it before nothing, too.
        begin = tuple(self._vocabulary.encode("", special=False))
        if begin and not request.add_special and not self._begins_itself(request, begin[0]):
            ids = ids[len(begin) :]
        return self.named(ids)

    def named(self, ids: tuple[int, ...]) -> Tokens:
        """Tokens with the bytes of each."""
        return Tokens(ids=ids, pieces=tuple(map(self._piece, ids)))

    def text(self, tokens: tuple[int, ...]) -> str:
        """The text of tokens, control tokens as they are spelled. Raises `BadInput` for ids that are none."""
        size = self._vocabulary.size
        for index, token in enumerate(tokens):
            if not 0 <= token < size:
                raise BadInput(
                    f"tokens[{index}] is {token}; the model has tokens from 0 to {size - 1}.", param=f"tokens[{index}]"
                )
        return b"".join(map(self._piece, tokens)).decode("utf-8", "replace")

    def _piece(self, token: int) -> bytes:
        return self._vocabulary.piece(token) or self._vocabulary.spelling(token).encode()

    def _begins_itself(self, request: TokenizeRequest, begin: int) -> bool:
        return request.parse_special and request.text.startswith(self._vocabulary.spelling(begin))


class Texts(VocabularyTexts):
    """Answers questions about tokens for one loaded model that has conversations."""

    def __init__(self, vocabulary: Vocabulary, preparer: Preparer) -> None:
        super().__init__(vocabulary)
        self._preparer = preparer

    def tokens(self, request: TokenizeRequest) -> Tokens:
        """The tokens of a text, or of the prompt of a request. Raises what preparing that request would raise."""
        if request.request is not None:
            return self.named(self._preparer.prompt(request.request))
        return super().tokens(request)
