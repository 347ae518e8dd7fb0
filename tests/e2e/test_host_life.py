"""How a host begins, is found, and ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
from pathlib import Path

import psutil
import pytest
from fixtures.waiting import until
from hosts import HOST, WORDS, attach_soon, attached, ended, host_process, kill, serving, talker, watching

from engine.client import EngineClient
from engine.errors import Conflict, HostUnreachable, SettingsError, StartError, VersionMismatch
from engine.events import HostStopping, TurnDelta
from engine.paths import Paths


def run_host(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HOST, *arguments], env={**os.environ, **environ}, capture_output=True, text=True, timeout=60, check=False
    )


def files(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file()]


async def test_nothing_is_started_unless_asked(home: Path) -> None:
    client = EngineClient(Paths.find(os.environ))
    with pytest.raises(HostUnreachable, match="No host runs"):
        await client.attach(start=False)
    await client.close()
    assert files(home) == []


async def test_a_started_host_answers_and_its_socket_is_private(home: Path) -> None:
    async with attached() as client:
        status = await client.status()
        assert status.pid == host_process().pid
        assert not status.serve
        assert status.active_model == "guide"
        paths = Paths.find(os.environ)
        assert stat.S_IMODE(paths.socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(paths.run.stat().st_mode) == 0o700
        assert os.getsid(status.pid) == status.pid


async def test_two_starting_at_once_share_one_host(home: Path) -> None:
    clients = [EngineClient(Paths.find(os.environ), kind="script") for _ in range(3)]
    found = await asyncio.gather(*(client.attach(start=True) for client in clients))
    assert len({status.pid for status in found}) == 1
    await clients[0].stop_host()
    for client in clients:
        await client.close()


async def test_a_second_client_sees_the_same_answer(home: Path) -> None:
    talker(home)
    async with attached() as one, attached(start=False) as two, watching(one) as first, watching(two) as second:
        turn = await one.send_turn("Speak.", model="talker")
        answers = await asyncio.gather(first.finished(turn.message), second.finished(turn.message))
        assert answers[0] == answers[1]
        assert answers[0].message.content == WORDS
        for watcher in (first, second):
            text = ""
            for event in watcher.events:
                if isinstance(event, TurnDelta):
                    assert event.offset == len(text)
                    text += event.text
            assert text == WORDS


async def test_an_idle_host_ends_and_leaves_no_socket(home: Path) -> None:
    async with attached(start=True, kind="screen") as client, watching(client):
        process = host_process()
        assert (await client.status()).screens == 1
    await until(lambda: ended(process), "the host ends")


async def test_a_stop_is_refused_while_an_answer_is_written_unless_forced(home: Path) -> None:
    talker(home, rate=5)
    async with attached() as client, watching(client) as watcher:
        turn = await client.send_turn("Speak.", model="talker")
        with pytest.raises(Conflict, match="1 answers"):
            await client.stop_host()
        process = host_process()
        await client.stop_host(force=True)
        assert ended(process)
        await until(lambda: watcher.error is not None, "the client hears of the end")
        assert any(isinstance(event, HostStopping) for event in watcher.events)
        await client.attach(start=True)
        message = (await client.conversation(turn.conversation)).messages[-1]
        assert message.state == "stopped"
        assert message.error is not None


async def test_what_a_killed_host_leaves_behind_is_no_obstacle(home: Path) -> None:
    async with attached() as client:
        kill(process := host_process())
        await until(lambda: ended(process), "the host is dead")
        assert Paths.find(os.environ).socket.exists()
        assert (await client.attach(start=True)).pid != process.pid


async def test_serve_beside_a_live_host_names_its_process(home: Path) -> None:
    async with attached() as client:
        done = run_host("--serve", "--port", "0")
        assert done.returncode == 3
        assert str((await client.status()).pid) in done.stderr
        assert (await client.status()).pid


async def test_another_version_is_said_plainly_and_can_be_stopped(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "footplate-99.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: footplate\nVersion: 99.0\n")
    with serving(PYTHONPATH=str(tmp_path)) as process:
        client = EngineClient(Paths.find(os.environ))

        async def mismatched() -> bool:
            try:
                await client.attach(start=False)
            except VersionMismatch as error:
                return "99.0" in str(error) and "footplate stop" in str(error)
            except HostUnreachable:
                return False
            return False

        await until(mismatched, "the mismatch is told")
        await client.stop_host()
        assert process.wait(timeout=10) == 0
        await client.close()


async def test_a_port_that_is_taken_has_its_own_exit_code(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_host("--serve", "--port", str(port))
        assert done.returncode == 5
        assert f"Port {port}" in done.stderr
        async with attached() as client:
            with pytest.raises(StartError, match=str(port)):
                await client.set_api(True, port=port)
            assert not (await client.status()).api.enabled


async def test_an_address_off_this_machine_needs_a_key(home: Path) -> None:
    done = run_host("--serve", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2
    assert "without an API key" in done.stderr
    with serving("--host", "0.0.0.0", "--port", "0", FOOTPLATE_API_KEY="secret"):
        client = await attach_soon()
        assert (await client.status()).api.key_required
        await client.close()
    assert "secret" not in "".join(path.read_text(errors="replace") for path in files(home))


def test_a_typo_in_the_settings_is_one_sentence(home: Path) -> None:
    (home / "config").mkdir()
    (home / "config" / "config.toml").write_text("[api]\nprot = 1\n")
    done = run_host("--serve", "--port", "0")
    assert done.returncode == 2
    assert "line 2: there is no setting api.prot" in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_client_tells_the_reason_of_a_host_that_cannot_start(home: Path) -> None:
    (home / "config").mkdir()
    (home / "config" / "config.toml").write_text("[log]\nlevel = 3\n")
    client = EngineClient(Paths.find(os.environ))
    with pytest.raises(SettingsError, match=r"log\.level"):
        await client.attach(start=True)
    await client.close()


async def test_a_folder_that_cannot_be_made_is_named(home: Path) -> None:
    (home / "run").write_text("a file where a folder has to be")
    client = EngineClient(Paths.find(os.environ))
    with pytest.raises(StartError, match=str(home / "run")):
        await client.attach(start=True)
    await client.close()


async def test_a_host_that_hangs_is_told_with_its_process(home: Path) -> None:
    hasty = EngineClient(Paths.find(os.environ), answer_s=1.0)
    async with attached():
        process = host_process()
        process.suspend()
        try:
            with pytest.raises(HostUnreachable, match=f"{process.pid}.*does not answer"):
                await hasty.attach(start=True)
        finally:
            process.resume()
            await hasty.close()


async def test_the_api_opens_and_closes_while_the_host_runs(home: Path) -> None:
    async with attached() as client, watching(client) as watcher:
        state = await client.set_api(True, port=0)
        assert state.enabled
        assert state.url is not None
        port = int(state.url.rsplit(":", 1)[1])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
        assert not (await client.set_api(False)).enabled
        with pytest.raises(OSError, match=r"refused|failed"):
            await asyncio.open_connection("127.0.0.1", port)
        await until(
            lambda: [type(event).__name__ for event in watcher.events].count("ApiChanged") == 2, "both are told"
        )


async def test_a_lost_host_is_told_and_a_new_one_can_be_attached(home: Path) -> None:
    async with attached() as client, watching(client) as watcher:
        kill(host_process())
        await until(lambda: isinstance(watcher.error, HostUnreachable), "the client hears of the loss")
        await client.attach(start=True)
        async with watching(client):
            assert (await client.status()).pid == host_process().pid


async def test_serve_ends_on_a_signal_with_its_workers(home: Path) -> None:
    talker(home, rate=5)
    with serving() as process:
        client = await attach_soon()
        await client.send_turn("Speak.", model="talker")

        async def loaded() -> bool:
            return any(worker.facts for worker in (await client.status()).workers)

        await until(loaded, "a worker is there")
        pid = (await client.status()).workers[0].pid
        assert pid is not None
        worker = psutil.Process(pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert ended(worker)
        await client.close()
