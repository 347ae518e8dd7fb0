"""What goes wrong between us and the Hub, in words: one wording for its library's errors and for bare answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from engine.errors import (
    BadInput,
    DownloadFailed,
    FootplateError,
    Forbidden,
    GatedModel,
    HubUnreachable,
    InternalError,
    NotFound,
    RateLimited,
)


def in_words(error: BaseException, about: str, endpoint: str, *, with_token: bool) -> FootplateError:
    """What an error that the library raised about `about` means to the user."""
    from huggingface_hub import errors  # noqa: PLC0415 - whatever raised this has imported it

    if isinstance(error, FootplateError):
        return error
    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubUnreachable(
            "HF_HUB_OFFLINE is set, so the Hub is not asked.", remedy="Unset it and start the host again."
        )
    if isinstance(error, errors.HFValidationError):
        return BadInput(f"{about!r} is not a name that the Hub allows.", remedy="Names have the form OWNER/NAME.")
    if isinstance(error, errors.HfHubHTTPError) and error.response is not None:
        return refusal(error.response.status_code, error.response.headers, about, endpoint, with_token=with_token)
    if isinstance(error, OSError) or type(error).__module__.startswith("httpx"):  # the HTTP library below
        return unreachable(endpoint, str(error) or type(error).__name__)
    return InternalError(f"Asking the Hub for {about} failed: {type(error).__name__}: {error}.")


def unreachable(address: str, reason: str) -> HubUnreachable:
    """`address` cannot be reached."""
    return HubUnreachable(
        f"{address} cannot be reached: {reason.rstrip('.')}.",
        meaning="Models that are here already can be used without it.",
        remedy="Look at the network; HF_ENDPOINT names another address of the Hub.",
    )


def refusal(  # noqa: PLR0911 - one for each answer
    status: int, headers: Mapping[str, str], about: str, endpoint: str, *, with_token: bool
) -> FootplateError:
    """What an answer of 400 or more means; `headers` as a mapping that does not care about upper and lower case."""
    code, message = headers.get("X-Error-Code", ""), headers.get("X-Error-Message", "")
    if code == "GatedRepo":
        return _gated(about, message, endpoint, with_token)
    if code == "RevisionNotFound":
        return NotFound(f"{about} has no such revision.", param="revision")
    if code == "EntryNotFound":
        return NotFound(f"{about} is no longer there.", remedy="Look at the repository's list of files.")
    if status == 429:
        wait = retry_after(headers)
        when = f" It says: not before {wait:.0f} s from now." if wait else ""
        return RateLimited(
            f"{endpoint} has had too many requests from here.{when}",
            remedy="Wait, or use a token (HF_TOKEN), which raises the limit.",
            retry_after_s=wait,
        )
    if status in {401, 404} or code == "RepoNotFound":
        return _absent(about, status, with_token)
    if status == 403:
        return Forbidden(
            f"{about} is refused by {endpoint}. {message}".strip(),
            remedy=f"With another token it may be given: {_token_remedy()}",
        )
    if status >= 500:
        return HubUnreachable(f"{endpoint} has a fault of its own ({status}).", remedy="Try again later.")
    return DownloadFailed(f"{endpoint} answered {status} for {about}. {message}".strip())


def retry_after(headers: Mapping[str, Any]) -> float | None:
    """Seconds that a server asks to wait, where it says so as a number."""
    try:
        return max(0.0, float(headers["Retry-After"]))
    except (KeyError, ValueError):
        return None


def _absent(about: str, status: int, with_token: bool) -> FootplateError:
    if status == 401 and with_token:
        return Forbidden(
            f"The Hub does not accept the token for {about}.",
            meaning="The token is wrong or has ended, or the repository does not exist or is private.",
            remedy=f"For another one: {_token_remedy()}",
        )
    return NotFound(
        f"There is no {about} on the Hub, or it is private.",
        remedy="Look at the spelling." if with_token else f"Look at the spelling. If it is private: {_token_remedy()}",
    )


def _gated(about: str, message: str, endpoint: str, with_token: bool) -> GatedModel:
    repo = "/".join(about.split("/")[:2])
    return GatedModel(
        f"{repo} is gated: its owner decides who may download it.",
        meaning=message.strip() or ("The token was not let in." if with_token else "No token was sent."),
        remedy=f"Ask for access at {endpoint}/{repo}." + ("" if with_token else f" Then: {_token_remedy()}"),
    )


def _token_remedy() -> str:
    from huggingface_hub import constants  # noqa: PLC0415

    where = os.fspath(constants.HF_TOKEN_PATH)
    return f"put a token into {where} (`hf auth login` does), or set HF_TOKEN."
