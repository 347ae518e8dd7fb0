"""Rates and times left."""

from __future__ import annotations

from engine.meter import Meter


def test_nothing_is_said_before_enough_was_seen() -> None:
    meter = Meter()
    assert meter.rate is None
    meter.add(0.0, 0)
    meter.add(0.1, 100)
    assert meter.rate is None
    assert meter.left_s(1000) is None


def test_the_rate_is_that_of_the_last_seconds() -> None:
    meter = Meter()
    for second in range(30):
        meter.add(float(second), second * 100)
    for second in range(30, 50):
        meter.add(float(second), 2900 + (second - 29) * 10)
    assert meter.rate == 10
    assert meter.left_s(3200) == 10.0
    assert meter.left_s(None) is None


def test_a_standstill_has_a_rate_of_zero_and_no_end() -> None:
    meter = Meter()
    for second in range(20):
        meter.add(float(second), 500)
    assert meter.rate == 0
    assert meter.left_s(1000) is None
