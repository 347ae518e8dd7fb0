"""With a real tokenizer too, a message cannot become control tokens."""

from __future__ import annotations

import pytest
from fixtures.llama_backend import load
from fixtures.shape_model import SPECIAL, write_model

from engine.runtimes.llama_cpp.worker import LlamaBackend
from engine.text.guard import Guard
from engine.text.template import ChatTemplate, message_data
from engine.types import Message


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> LlamaBackend:
    return load(write_model(tmp_path_factory.mktemp("model") / "shape.gguf"))


def test_what_a_message_spells_stays_text_and_what_the_template_spells_does_not(backend: LlamaBackend) -> None:
    vocabulary = backend.vocabulary
    controls = [
        spelling for spelling in SPECIAL if vocabulary.encode(spelling, special=True)[-1] == SPECIAL.index(spelling)
    ]
    assert controls
    text = "the hen " + " and ".join(controls) + " 🚂"
    guard = Guard(vocabulary, bos=backend.text.bos)
    template = ChatTemplate("{{ bos_token }}<|user|>{{ messages[0].content }}<|user|>", bos=backend.text.bos)
    tokens = guard.tokens(template.render([guard.protect(message_data(Message(role="user", content=text)))]))
    marker = SPECIAL.index("<|user|>")
    assert [token for token in tokens if not vocabulary.piece(token)] == [tokens[0], marker, marker]
    assert b"".join(map(vocabulary.piece, tokens)).decode() == text
