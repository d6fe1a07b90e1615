"""What a host may expect to earn with one GPU a day (docs/methodology.md, "Expected earnings")."""

from __future__ import annotations

from config.platforms import Platform

DEFAULT_TARIFF = 0.15
"""Electricity in USD per kWh for members who have set none: a round assumption, said wherever it is used."""
HOURS_A_DAY = 24.0


def hosting_share(platform: Platform | None) -> float | None:
    """Part of the renter's price that a new host would receive; None where no host can go or the part is unknown."""
    return platform.host_share if platform is not None and platform.takes_new_hosts else None


def earnings_a_day(
    price: float | None, utilization: float | None, share: float | None, power_w: int | None, tariff: float
) -> float | None:
    """Expected USD a day of one GPU: ``24 × utilization × (price × share − power ÷ 1000 × tariff)``.

    Rented hours only: what an idle card, the rest of the machine and the cooling draw is not counted, nor what disk
    and bandwidth bring in. Board power is what a vendor states, the most a rented card draws for long.

    Args:
        price: USD per GPU-hour as the renter pays it.
        utilization: rented share of the listed GPUs, 0 to 1.
        share: part of the price that the host receives, 0 to 1.
        power_w: board power in watts.
        tariff: electricity in USD per kWh.

    Returns:
        None when any input is unknown: nothing is guessed. May be negative.
    """
    if price is None or utilization is None or share is None or power_w is None:
        return None
    return HOURS_A_DAY * utilization * (price * share - power_w / 1000 * tariff)
