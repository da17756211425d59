"""`python -m benchmarks [ID …]`: measure the live core and print a table. See docs/benchmarks.md."""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from benchmarks.bursts import burst, sustained
from benchmarks.figures import machine, show
from benchmarks.reading import current
from benchmarks.starting import cold
from benchmarks.telling import busy, idle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from benchmarks.figures import Figure

    Benchmark = Callable[[Path], AsyncIterator[Figure]]

BENCHMARKS: dict[str, Benchmark] = {"E1": idle, "E2": busy, "E3": burst, "E4": sustained, "S1": cold, "R1": current}
SAME = {"S2": "S1"}


async def run(chosen: Sequence[Benchmark]) -> None:
    began, before, figures = time.monotonic(), machine(), []
    with tempfile.TemporaryDirectory() as folder:
        for benchmark in chosen:
            async for figure in benchmark(Path(folder)):
                figures.append(figure)
                print(f"{figure.id}  {figure.what}: {figure.ours}  {figure.ratio}", file=sys.stderr, flush=True)
    show(figures, f"{before} before, {machine().rpartition(', ')[2]} after; {time.monotonic() - began:.0f} s")


def main(names: Sequence[str]) -> None:
    wanted = {SAME.get(name.upper(), name.upper()) for name in names} or BENCHMARKS.keys()
    unknown = wanted - BENCHMARKS.keys()
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}. There are {', '.join([*BENCHMARKS, *SAME])}.")
    anyio.run(partial(run, [benchmark for name, benchmark in BENCHMARKS.items() if name in wanted]))


if __name__ == "__main__":
    main(sys.argv[1:])
