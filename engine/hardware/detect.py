"""What this machine has: facts read once. What cannot be read is `None`, never a guess."""

from __future__ import annotations

import importlib
import logging
import math
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil

from engine.types import Gpu, Hardware

FEATURES = (
    "avx", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16",
    "asimd", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme",
)  # fmt: skip
"""Instruction sets that inference libraries choose kernels by, as Linux spells them."""
_APPLE_FEATURES = {
    "AdvSIMD": "asimd",
    "FEAT_DotProd": "asimddp",
    "FEAT_I8MM": "i8mm",
    "FEAT_BF16": "bf16",
    "FEAT_SME": "sme",
}
_UNLIMITED = 1 << 60
"""Bytes; control groups of version 1 say a number near 2^63 for "no limit"."""

_log = logging.getLogger(__name__)


def detect() -> Hardware:
    """Reads processor, memory and graphics cards. Takes some milliseconds; blocks."""
    cpuinfo = _read(Path("/proc/cpuinfo"))
    apple = _sysctl() if platform.system() == "Darwin" else {}
    groups = control_groups(_read(Path("/proc/self/cgroup")), Path("/sys/fs/cgroup"))
    quotas = [cpu_quota(_read(folder / "cpu.max"), _v1_quota(folder)) for folder in groups]
    threads = usable(_affinity(), min((quota for quota in quotas if quota is not None), default=None))
    memory = psutil.virtual_memory()
    limit, room = memory_limit(groups)
    return Hardware(
        cpu=apple.get("machdep.cpu.brand_string") or cpu_name(cpuinfo) or platform.processor() or None,
        cores=cores(cpuinfo, psutil.cpu_count(logical=False), threads),
        threads=threads,
        features=apple_features(apple) if apple else features(cpuinfo),
        memory=min(memory.total, limit) if limit is not None else memory.total,
        memory_free=min(memory.available, room) if room is not None else memory.available,
        gpus=gpus(),
    )


def cpu_name(cpuinfo: str) -> str | None:
    """The processor's name from the text of /proc/cpuinfo."""
    return next((value for key, value in _fields(cpuinfo) if key == "model name"), None)


def features(cpuinfo: str) -> tuple[str, ...]:
    """Those of `FEATURES` that /proc/cpuinfo lists."""
    listed = {flag for key, value in _fields(cpuinfo) if key in ("flags", "Features") for flag in value.split()}
    return tuple(name for name in FEATURES if name in listed)


def apple_features(sysctl: dict[str, str]) -> tuple[str, ...]:
    """The same from `sysctl hw.optional`, in Linux's spelling."""
    listed = {
        _APPLE_FEATURES[key.rsplit(".", 1)[-1]]
        for key, value in sysctl.items()
        if value == "1" and key.rsplit(".", 1)[-1] in _APPLE_FEATURES
    }
    return tuple(name for name in FEATURES if name in listed)


def cores(cpuinfo: str, physical: int | None, threads: int | None) -> int | None:
    """Physical cores that `threads` usable logical processors make up: hyper-threads share one."""
    pairs: set[tuple[str, str]] = set()
    package = ""
    for key, value in _fields(cpuinfo):
        if key == "physical id":
            package = value
        elif key == "core id":
            pairs.add((package, value))
    return min((count for count in (len(pairs) or physical, threads) if count), default=None)


def usable(affinity: int | None, quota: float | None) -> int | None:
    """Logical processors that affinity and a quota (in processors) leave; a quota of 1.5 keeps 2 busy."""
    limits = [affinity] if affinity is not None else []
    if quota is not None:
        limits.append(max(1, math.ceil(quota)))
    return min(limits, default=None)


def cpu_quota(cpu_max: str, v1: tuple[str, str] = ("", "")) -> float | None:
    """Processors that a control group allows, from `cpu.max` or version 1's quota and period; `None` is no limit."""
    quota, _, period = cpu_max.strip().partition(" ") if cpu_max.strip() else (v1[0].strip(), " ", v1[1].strip())
    if not quota.isdigit() or not period.isdigit() or not int(period):
        return None
    return int(quota) / int(period)


def control_groups(membership: str, root: Path) -> tuple[Path, ...]:
    """The folders of the groups this process is in, and of their parents: the tightest limit of all counts."""
    folders: list[Path] = []
    for line in membership.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for name in controllers.split(",") if controllers else [""]:
            if name in ("", "cpu", "memory"):
                base = root / name
                inner = base / path.lstrip("/")
                folders += [inner, *(parent for parent in inner.parents if parent.is_relative_to(base))]
    return tuple(dict.fromkeys(folders))


def memory_limit(groups: tuple[Path, ...]) -> tuple[int | None, int | None]:
    """Bytes that the groups allow, and bytes still free under the tightest of them; `None` without a limit."""
    limits, rooms = [], []
    for folder in groups:
        for limit_file, usage_file in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, usage = _read(folder / limit_file).strip(), _read(folder / usage_file).strip()
            if limit.isdigit() and int(limit) < _UNLIMITED:
                limits.append(int(limit))
                reclaimable = file_cache(_read(folder / "memory.stat"))
                if usage.isdigit():
                    rooms.append(max(0, int(limit) - int(usage) + reclaimable))
    return min(limits, default=None), min(rooms, default=None)


def file_cache(memory_stat: str) -> int:
    """Bytes of a group's use that are inactive file cache, which gives way to anything."""
    for line in memory_stat.splitlines():
        key, _, value = line.partition(" ")
        if key in ("inactive_file", "total_inactive_file") and value.isdigit():
            return int(value)
    return 0


def gpus() -> tuple[Gpu, ...]:
    """NVIDIA's cards by NVML; none where the driver is absent or does not answer."""
    nvml: Any = importlib.import_module("pynvml")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        _log.debug("no NVML: %s", error)
        return ()
    try:
        return tuple(_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
    except nvml.NVMLError as error:
        _log.warning("NVML stopped answering: %s", error)
        return ()
    finally:
        nvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(
        name=str(nvml.nvmlDeviceGetName(handle)), index=index, memory=int(memory.total), memory_free=int(memory.free)
    )


def _affinity() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _v1_quota(folder: Path) -> tuple[str, str]:
    return _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")


def _sysctl() -> dict[str, str]:
    found = subprocess.run(
        ["/usr/sbin/sysctl", "machdep.cpu", "hw.optional"], capture_output=True, text=True, timeout=5, check=False
    ).stdout
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in found.splitlines())}


def _fields(cpuinfo: str) -> list[tuple[str, str]]:
    return [(key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in cpuinfo.splitlines())]


def _read(path: Path) -> str:
    """The text of a file of /proc or /sys; empty where it is absent or closed to us."""
    try:
        return path.read_text()
    except OSError:
        return ""
