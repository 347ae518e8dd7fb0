"""The front door: reads the arguments, then opens the screen, becomes the engine host, or asks it something.

Nothing is imported before it is needed: the version must be said at once, and the first frame not wait for a client.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from engine.errors import BadInput, FootplateError

if TYPE_CHECKING:
    from engine.paths import Paths
    from tui.engine import Engine

HELP = """\
footplate: language models in your terminal, and an OpenAI-compatible API.

  footplate                 open the screen
  footplate --model NAME    open the screen; NAME answers from now on
  footplate --api           open the screen and turn the API on
  footplate --serve         serve the API without a screen, until Ctrl+C
      --host ADDRESS        the address, 127.0.0.1 by default
      --port N              the port, 8080 by default
      --model NAME          the model that answers by default
      --api-key KEY         the key that programs have to send
  footplate pull WHAT       download OWNER/NAME[:QUANT|/FILE] or a URL
      [--json] [--revision REV] [--sha256 HEX]
  footplate status [--json] what runs
  footplate stop [--force]  end the host (--force: also running work)
  footplate doctor [--json] check this machine and this installation
  footplate --version       the version
  footplate --help          this text

Environment: FOOTPLATE_HOME keeps everything in that folder, FOOTPLATE_API_KEY
is the API's key, NO_COLOR turns colours off.
In the app: F1 shows every key, Ctrl+P every command, Ctrl+Q quits.
"""


def main() -> int:
    """Entry point of the `footplate` command; returns the exit code."""
    arguments = _parser().parse_args()
    try:
        return _dispatch(arguments)
    except FootplateError as error:
        print(f"footplate: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="footplate", add_help=False, allow_abbrev=False, usage="footplate --help")
    for flag in ("--help", "-h", "--version", "--api", "--serve"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--port", type=int)
    for option in ("--host", "--model", "--api-key"):
        parser.add_argument(option)
    commands = parser.add_subparsers(dest="command")
    for name, flag in (("status", "--json"), ("stop", "--force"), ("doctor", "--json")):
        commands.add_parser(name, add_help=False, allow_abbrev=False).add_argument(flag, action="store_true")
    pull = commands.add_parser("pull", add_help=False, allow_abbrev=False)
    pull.add_argument("what")
    pull.add_argument("--json", action="store_true")
    pull.add_argument("--revision")
    pull.add_argument("--sha256")
    return parser


def _dispatch(arguments: argparse.Namespace) -> int:
    if arguments.help or arguments.h:
        print(HELP, end="")
        return 0
    if arguments.version:
        from engine.version import installed  # noqa: PLC0415

        print(f"footplate {installed()}")
        return 0
    if arguments.command == "doctor":
        _become("engine.doctor", ["--json"] if arguments.json else [])
    if arguments.serve:
        _serve(arguments)
    for name in ("host", "port", "api_key", *(["model"] if arguments.command else [])):
        if getattr(arguments, name) is not None:
            raise BadInput(f"--{name.replace('_', '-')} needs --serve.", remedy="`footplate --help` lists the options.")
    from engine.paths import Paths  # noqa: PLC0415

    paths = Paths.find(os.environ)
    if arguments.command is None:
        return _open_screen(paths, model=arguments.model, api=arguments.api)
    if arguments.command == "pull":
        return _pull(paths, arguments)
    from tui import headless  # noqa: PLC0415

    if arguments.command == "status":
        return headless.status(_engine(paths, "script"), as_json=arguments.json)
    return headless.stop(_engine(paths, "script"), force=arguments.force)


def _serve(arguments: argparse.Namespace) -> NoReturn:
    if arguments.command is not None or arguments.api:
        raise BadInput("--serve stands alone.", remedy="`footplate --help` lists the options.")
    options = ["--serve"]
    for name in ("host", "port", "model"):
        if (value := getattr(arguments, name)) is not None:
            options += [f"--{name}", str(value)]
    if arguments.api_key is not None:
        os.environ["FOOTPLATE_API_KEY"] = arguments.api_key
    _become("engine.host", options)


def _become(module: str, options: list[str]) -> NoReturn:
    """Replaces this process by `python -m module`; a folder of that name in the user's directory is not picked up."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *options])  # noqa: S606 - a list, no shell


def _pull(paths: Paths, arguments: argparse.Namespace) -> int:
    from engine.client import EngineClient  # noqa: PLC0415
    from tui.pull import Wish, pull  # noqa: PLC0415

    token = os.environ.get("HF_TOKEN") or None
    wish = Wish(what=arguments.what, revision=arguments.revision, sha256=arguments.sha256, token=token)
    return pull(EngineClient(paths, kind="script"), wish, as_json=arguments.json)


def _engine(paths: Paths, kind: str = "screen") -> Engine:
    from engine.client import EngineClient  # noqa: PLC0415

    return EngineClient(paths, kind=kind)


def _open_screen(paths: Paths, *, model: str | None, api: bool) -> int:
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or os.environ.get("TERM") == "dumb":
        raise BadInput(
            "The screen needs a terminal, and this is not one.",
            remedy="Without a terminal, `footplate --serve` serves the API and `footplate status` says what runs.",
        )
    gc.disable()  # until the first frame is painted: nothing made for it becomes garbage
    from engine.settings import read  # noqa: PLC0415
    from tui.keymap import read_keymap  # noqa: PLC0415

    settings = read(paths.settings_file).tui
    keymap = read_keymap(paths.config / "keymap.toml")
    from tui.app import FootplateApp  # noqa: PLC0415
    from tui.keys import teach_alt_keys  # noqa: PLC0415

    teach_alt_keys()
    api_key = os.environ.pop("FOOTPLATE_API_KEY", None)
    app = FootplateApp(lambda: _engine(paths), settings, keymap, model=model, api=api, api_key=api_key)
    app.run()
    return app.return_code or 0


if __name__ == "__main__":
    raise SystemExit(main())
