"""Reading the hardware: parsers on texts from real machines, and the whole on this one."""

from __future__ import annotations

from pathlib import Path

from engine.hardware.detect import (
    apple_features,
    control_groups,
    cores,
    cpu_name,
    cpu_quota,
    detect,
    features,
    file_cache,
    memory_limit,
    usable,
)

XEON = """\
processor	: 0
model name	: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
physical id	: 0
core id		: 0
flags		: fpu sse2 avx avx2 avx512f avx512_vnni amx_bf16 amx_tile amx_int8

processor	: 1
model name	: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
physical id	: 0
core id		: 0
flags		: fpu sse2 avx avx2 avx512f avx512_vnni amx_bf16 amx_tile amx_int8

processor	: 2
physical id	: 1
core id		: 0
"""
GRAVITON = """\
processor	: 0
BogoMIPS	: 2100.00
Features	: fp asimd evtstrm aes asimddp sve i8mm bf16
CPU part	: 0xd40
"""


def test_a_server_s_processor() -> None:
    assert cpu_name(XEON) == "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"
    assert features(XEON) == ("avx", "avx2", "avx512f", "avx512_vnni", "amx_tile", "amx_int8", "amx_bf16")


def test_an_arm_processor() -> None:
    assert cpu_name(GRAVITON) is None
    assert features(GRAVITON) == ("asimd", "asimddp", "i8mm", "bf16", "sve")


def test_an_apple_processor() -> None:
    sysctl = {"hw.optional.arm.FEAT_DotProd": "1", "hw.optional.AdvSIMD": "1", "hw.optional.arm.FEAT_SME": "0"}
    assert apple_features(sysctl) == ("asimd", "asimddp")


def test_hyper_threads_share_a_core() -> None:
    assert cores(XEON, physical=None, threads=3) == 2
    assert cores(XEON, physical=None, threads=1) == 1
    assert cores(GRAVITON, physical=8, threads=16) == 8
    assert cores("", physical=None, threads=None) is None


def test_quota_of_both_versions() -> None:
    assert cpu_quota("150000 100000\n") == 1.5
    assert cpu_quota("max 100000\n") is None
    assert cpu_quota("", ("200000\n", "100000\n")) == 2.0
    assert cpu_quota("", ("-1\n", "100000\n")) is None
    assert cpu_quota("", ("", "")) is None


def test_the_tighter_of_affinity_and_quota_counts() -> None:
    assert usable(8, 1.5) == 2
    assert usable(1, 4.0) == 1
    assert usable(8, 0.2) == 1
    assert usable(8, None) == 8
    assert usable(None, None) is None


def test_limits_of_a_group_and_its_parents(tmp_path: Path) -> None:
    inner = tmp_path / "user.slice" / "app"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text("4000\n")
    (inner.parent / "memory.current").write_text("3000\n")
    (inner.parent / "memory.stat").write_text("anon 1000\ninactive_file 500\n")
    groups = control_groups("0::/user.slice/app\n", tmp_path)
    assert set(groups) == {inner, inner.parent, tmp_path}
    assert memory_limit(groups) == (4000, 1500)


def test_limits_of_version_one(tmp_path: Path) -> None:
    inner = tmp_path / "memory" / "docker" / "x"
    inner.mkdir(parents=True)
    (inner / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    groups = control_groups("4:memory:/docker/x\n3:cpuset:/elsewhere\n", tmp_path)
    assert inner in groups
    assert memory_limit(groups) == (None, None)
    (inner / "memory.limit_in_bytes").write_text("5000\n")
    (inner / "memory.usage_in_bytes").write_text("6000\n")
    assert memory_limit(groups) == (5000, 0)


def test_file_cache_of_both_versions() -> None:
    assert file_cache("anon 1\ninactive_file 7\n") == 7
    assert file_cache("cache 9\ntotal_inactive_file 8\n") == 8
    assert file_cache("") == 0


def test_this_machine() -> None:
    found = detect()
    assert found.threads and found.cores and found.cores <= found.threads
    assert found.memory and found.memory_free and 0 < found.memory_free <= found.memory
    assert found.memory > 100_000_000
