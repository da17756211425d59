"""`python -m benchmarks [ID …]`: measure the live core and print a table. See docs/benchmarks.md."""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from benchmarks.bursts import measure_burst, measure_sustained
from benchmarks.cold_start import measure_cold_start
from benchmarks.fan_out import measure_fan_out, measure_unread
from benchmarks.figures import describe_machine, print_table
from benchmarks.notification_latency import measure_busy_latency, measure_idle_latency
from benchmarks.resource_reads import measure_reads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from benchmarks.figures import Figure

    Benchmark = Callable[[Path], AsyncIterator[Figure]]

BENCHMARKS: dict[str, Benchmark] = {
    "E1": measure_idle_latency,
    "E2": measure_busy_latency,
    "E3": measure_burst,
    "E4": measure_sustained,
    "F1": measure_fan_out,
    "F2": measure_unread,
    "S1": measure_cold_start,
    "R1": measure_reads,
}
SAME = {"S2": "S1"}


async def run(chosen: Sequence[Benchmark]) -> None:
    began, before, figures = time.monotonic(), describe_machine(), []
    with tempfile.TemporaryDirectory() as folder:
        for benchmark in chosen:
            async for figure in benchmark(Path(folder)):
                figures.append(figure)
                print(f"{figure.id}  {figure.what}: {figure.ours}  {figure.ratio}", file=sys.stderr, flush=True)
    print_table(
        figures, f"{before} before, {describe_machine().rpartition(', ')[2]} after; {time.monotonic() - began:.0f} s"
    )


def main(names: Sequence[str]) -> None:
    wanted = {SAME.get(name.upper(), name.upper()) for name in names} or BENCHMARKS.keys()
    unknown = wanted - BENCHMARKS.keys()
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}. There are {', '.join([*BENCHMARKS, *SAME])}.")
    anyio.run(partial(run, [benchmark for name, benchmark in BENCHMARKS.items() if name in wanted]))


if __name__ == "__main__":
    main(sys.argv[1:])
