"""What somebody wants to download, as they write it."""

from __future__ import annotations

import pytest

from engine.errors import BadInput
from engine.models.asked import HubWish, UrlWish, parse

ENDPOINT = "https://mirror.example:8443"


@pytest.mark.parametrize(
    ("what", "wish"),
    [
        ("me/x", HubWish(repo="me/x")),
        (" me/x:q4_0 ", HubWish(repo="me/x", variant="q4_0")),
        ("me/x-1.5B/sub/a.gguf", HubWish(repo="me/x-1.5B", file="sub/a.gguf")),
        ("hf.co/me/x:Q8_0", HubWish(repo="me/x", variant="Q8_0")),
        ("https://huggingface.co/me/x", HubWish(repo="me/x")),
        ("https://huggingface.co/me/x/tree/v2", HubWish(repo="me/x", revision="v2")),
        ("https://huggingface.co/me/x/blob/main/a%20b.gguf", HubWish(repo="me/x", revision="main", file="a b.gguf")),
        (f"{ENDPOINT}/me/x/resolve/abc/s/a.gguf?download=true", HubWish(repo="me/x", revision="abc", file="s/a.gguf")),
        ("https://example.org/m.gguf", UrlWish(url="https://example.org/m.gguf")),
        ("http://127.0.0.1:9/a/b.gguf?x=1", UrlWish(url="http://127.0.0.1:9/a/b.gguf?x=1")),
    ],
)
def test_what_is_meant(what: str, wish: HubWish | UrlWish) -> None:
    assert parse(what, endpoint=ENDPOINT) == wish


@pytest.mark.parametrize(
    "what",
    ["", "x", "me/", "/x", "../x", "me/..", "me/x:", "me/x:Q4/a", "me x/y", "ftp://a/b", "file:///etc/passwd",
     "https://", "http://[::1", "https://huggingface.co/me"],
)  # fmt: skip
def test_what_means_nothing_is_refused(what: str) -> None:
    with pytest.raises(BadInput):
        parse(what, endpoint=ENDPOINT)


def test_options_that_do_not_belong_are_refused() -> None:
    digest = "A" * 64
    assert parse("https://e.org/m", endpoint=ENDPOINT, sha256=digest) == UrlWish(url="https://e.org/m", sha256="a" * 64)
    assert parse("me/x", endpoint=ENDPOINT, revision="v1") == HubWish(repo="me/x", revision="v1")
    for options in ({"sha256": "abc"}, {"sha256": digest}):
        with pytest.raises(BadInput, match="SHA-256"):
            parse("me/x", endpoint=ENDPOINT, **options)
    with pytest.raises(BadInput, match="revision"):
        parse("https://e.org/m", endpoint=ENDPOINT, revision="v1")
