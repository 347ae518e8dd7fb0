"""The one tree of errors a user can meet.

FootplateError                      code                       HTTP
├── BadInput                        invalid_request            400
│   ├── ContextLengthExceeded       context_length_exceeded    400
│   ├── TemplateError               template_error             400
│   └── Unsupported                 unsupported                400
├── SettingsError                   invalid_settings           400
├── Unauthorized                    invalid_api_key            401
├── Forbidden                       forbidden                  403
│   └── GatedModel                  gated_model                403
├── NotFound                        not_found                  404
│   └── ModelNotFound               model_not_found            404
├── Conflict                        conflict                   409
├── TooLarge                        request_too_large          413
├── Overloaded                      overloaded                 503
├── HubUnreachable                  hub_unreachable            503
├── RateLimited                     rate_limited               429
├── DownloadFailed                  download_failed            502
│   └── WrongContent                wrong_content              502
├── DiskFull                        disk_full                  507
├── InsufficientMemory              insufficient_memory        503
├── ModelLoadError                  model_load_failed          500
│   ├── CorruptModel                corrupt_model              500
│   └── RuntimeMissing              runtime_missing            500
├── WorkerDied                      worker_died                503
├── WorkerHeldBack                  worker_held_back           503
├── StartError                      cannot_start               500
│   ├── HostRunning                 host_running               409
│   ├── VersionMismatch             version_mismatch           409
│   └── PortTaken                   port_taken                 409
├── HostUnreachable                 host_unreachable           503
└── InternalError                   internal_error             500

An error says what happened, what it means and what to do. It crosses process borders as `ErrorInfo` and comes back
as the same class (`from_info`), so that the screen, the command line and every API dialect render one thing.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error as data: what is sent between processes and shown on a screen."""

    code: str
    """Machine-readable name of the class of error, such as `model_not_found`."""
    what: str
    """What happened, one sentence."""
    meaning: str = ""
    """What that means for the user; may be empty where `what` says it all."""
    remedy: str = ""
    """What the user can do; may be empty where nothing can be done."""
    param: str | None = None
    """The field of the request, or the key of the settings, that is at fault."""
    retry_after_s: float | None = None
    """Seconds after which trying again makes sense."""

    def sentence(self) -> str:
        """The whole error as one line of text."""
        return " ".join(part for part in (self.what, self.meaning, self.remedy) if part)


class FootplateError(Exception):
    """Base of everything Footplate raises on purpose; `what`, `meaning` and `remedy` are sentences for the user."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    """HTTP status of this class of error."""
    exit_code: ClassVar[int] = 1
    """Exit code of a command that ends with it."""

    def __init__(
        self,
        what: str,
        *,
        meaning: str = "",
        remedy: str = "",
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(what)
        self.info = ErrorInfo(
            code=self.code, what=what, meaning=meaning, remedy=remedy, param=param, retry_after_s=retry_after_s
        )

    def __str__(self) -> str:
        return self.info.sentence()


class BadInput(FootplateError):
    """The request itself is wrong."""

    code, status, exit_code = "invalid_request", 400, 2


class ContextLengthExceeded(BadInput):
    """The prompt does not fit the context; the message is OpenAI's wording, which clients match by pattern."""

    code = "context_length_exceeded"

    @classmethod
    def of_input(cls, context: int, tokens: int, param: str) -> ContextLengthExceeded:
        """The error for the input `param` of `tokens` tokens, which a model of `context` tokens reads whole or not."""
        return cls(
            f"This model's maximum context length is {context} tokens. However, {param} resulted in {tokens} tokens.",
            remedy="Split that text, or load the model with a larger context where it was trained for one.",
            param=param,
        )

    @classmethod
    def of(cls, context: int, prompt_tokens: int) -> ContextLengthExceeded:
        """The error for a prompt of `prompt_tokens` tokens against a context of `context` tokens."""
        return cls(
            f"This model's maximum context length is {context} tokens. However, your messages resulted in "
            f"{prompt_tokens} tokens. Please reduce the length of the messages.",
            param="messages",
        )


class TemplateError(BadInput):
    """The model's chat template refused the messages, or ran too long."""

    code = "template_error"


class Unsupported(BadInput):
    """The model or the runtime lacks the ability asked for."""

    code = "unsupported"


class SettingsError(FootplateError):
    """The settings file is wrong; the text names file and key."""

    code, status, exit_code = "invalid_settings", 400, 2


class Unauthorized(FootplateError):
    """No API key, or a wrong one."""

    code, status = "invalid_api_key", 401


class Forbidden(FootplateError):
    """The caller may not do this (a foreign Host or Origin header, for instance)."""

    code, status = "forbidden", 403


class GatedModel(Forbidden):
    """The Hub gives this model only to those whom its owner has let in."""

    code = "gated_model"


class NotFound(FootplateError):
    """The thing named does not exist."""

    code, status = "not_found", 404


class ModelNotFound(NotFound):
    """No model of that name; the text names what exists."""

    code = "model_not_found"


class Conflict(FootplateError):
    """The thing is in a state that does not allow this now."""

    code, status = "conflict", 409


class TooLarge(FootplateError):
    """The request is larger than is read at all."""

    code, status = "request_too_large", 413


class Overloaded(FootplateError):
    """More requests wait than are kept; `retry_after_s` says when to try again."""

    code, status = "overloaded", 503


class HubUnreachable(FootplateError):
    """The Hugging Face Hub, or the server of an address, does not answer."""

    code, status = "hub_unreachable", 503


class RateLimited(FootplateError):
    """The server wants fewer requests; `retry_after_s` says when to try again, where it said so."""

    code, status = "rate_limited", 429


class DownloadFailed(FootplateError):
    """A file could not be fetched or put in its place; the text names the file and the reason."""

    code, status = "download_failed", 502


class WrongContent(DownloadFailed):
    """What was sent, twice, is not the file that was promised."""

    code = "wrong_content"


class DiskFull(FootplateError):
    """The disk has no room for what is to be written."""

    code, status = "disk_full", 507


class InsufficientMemory(FootplateError):
    """The model does not fit the memory that is free."""

    code, status = "insufficient_memory", 503


class ModelLoadError(FootplateError):
    """The model could not be loaded; the text names the file and the reason."""

    code, status = "model_load_failed", 500


class CorruptModel(ModelLoadError):
    """The file is damaged, cut short, or not what its name says."""

    code = "corrupt_model"


class RuntimeMissing(ModelLoadError):
    """The runtime library is not installed or does not work on this machine."""

    code = "runtime_missing"


class WorkerDied(FootplateError):
    """The worker process ended while it was needed."""

    code, status = "worker_died", 503


class WorkerHeldBack(FootplateError):
    """The worker died repeatedly and is not started again for a while."""

    code, status = "worker_held_back", 503


class StartError(FootplateError):
    """The host, or one of its listeners, cannot start."""

    code, status = "cannot_start", 500


class HostRunning(StartError):
    """Another host owns this home."""

    code, status, exit_code = "host_running", 409, 3


class VersionMismatch(StartError):
    """The running host is of another version than this program."""

    code, status, exit_code = "version_mismatch", 409, 4


class PortTaken(StartError):
    """The address for the API is in use."""

    code, status, exit_code = "port_taken", 409, 5


class HostUnreachable(FootplateError):
    """The host does not answer, or none runs."""

    code, status = "host_unreachable", 503


class InternalError(FootplateError):
    """A fault of Footplate's own."""


def _tree(cls: type[FootplateError]) -> dict[str, type[FootplateError]]:
    found = {cls.code: cls} if cls is not FootplateError else {}
    for sub in cls.__subclasses__():
        found |= _tree(sub)
    return found


def from_info(info: ErrorInfo) -> FootplateError:
    """The exception that `info` was made from, or `InternalError` for a code this version does not know."""
    error = _tree(FootplateError).get(info.code, InternalError)(info.what)
    error.info = info
    return error
