"""Grids of the ``theory`` commands: lists make axes, answers get their shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import product
from typing import Any

import click

from isoloss.cli.common import number

Value = float | list[float]
_SHOWN = {
    "n": "N", "t": "T", "m": "M", "time": "t", "alpha_prune": "alpha-prune",
    "alpha_tot": "alpha-tot",
}  # fmt: skip


class Numbers(click.ParamType):  # type: ignore[type-arg]  # plain in older releases
    """A number, or several separated by commas."""

    name = "NUMBER,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> Value:
        """Read numbers; mistakes are usage errors."""
        if isinstance(value, float | list):
            return value
        parts = str(value).split(",")
        try:
            found = [number(part.strip()) for part in parts]
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)
        return found if len(parts) > 1 else found[0]


class Ridges(Numbers):
    """Numbers, or a word."""

    name = "NUMBER,...|ridgeless|optimal"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Read numbers or the word; mistakes are usage errors."""
        if value in ("ridgeless", "optimal"):
            return value
        try:
            return super().convert(value, param, ctx)
        except click.UsageError:
            self.fail(f"{value!r}: write numbers, 'ridgeless' or 'optimal'", param, ctx)


grid_option = click.option(
    "--grid", is_flag=True, help="Every combination of the lists, each an axis of the answer."
)


def spectrum_options(function: Any) -> Any:
    """Add the options that say what the spectrum is."""
    for option in (
        grid_option,
        click.option("--v0", type=Numbers(), default="0", help="Target power out of reach."),
        click.option(
            "--iid", is_flag=True, help="Target coefficients of equal variance: v2 = lam/M."
        ),
        click.option("--M", "m", type=Numbers(), required=True, help="Latent modes."),
        click.option("--a", type=Numbers(), help="Target power is I^-a; not with --iid."),
        click.option("--b", type=Numbers(), required=True, help="Eigenvalues are I^-b."),
    ):
        function = option(function)
    return function


def draw_options(function: Any) -> Any:
    """Add the options of simulation."""
    for option in (
        click.option("--plot", type=click.Path(path_type=str), help="Write a picture, SVG."),
        click.option("--seed", type=click.IntRange(0), default=0, help="Of the simulation; 0."),
        click.option(
            "--jobs", type=click.IntRange(1, 1024), default=1, help="Processes that simulate; 1."
        ),
        click.option(
            "--simulate",
            type=click.IntRange(2),
            metavar="K",
            help="Also simulate, K draws a point.",
        ),
    ):
        function = option(function)
    return function


device_option = click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    help="Simulate by torch on this device; by numpy without it.",
)


class Grid:
    """Values of the options, the axes they make, and answers in the shape of these.

    Parameters
    ----------
    options
        Every option by name.
    names
        Those that the model is called with, in order.
    last
        One of them that the model itself takes as a list.
    sgd
        The spectrum is given by alpha and beta.
    ridge
        The ridge, which may be a word.
    """

    def __init__(
        self, options: dict[str, Any], names: tuple[str, ...], *, last: str = "",
        sgd: bool = False, ridge: Any = None,
    ) -> None:  # fmt: skip
        if ridge is not None:
            options = options | {"ridge": ridge}
        self.plot = options.get("plot")
        self.simulate, self.seed = options.get("simulate"), options.get("seed", 0)
        self.jobs, self.device = options.get("jobs", 1), options.get("device")
        if self.device == "cuda" and self.jobs > 1:
            raise click.UsageError(
                "--jobs: processes would share one device; leave it out with --device cuda"
            )
        self.iid, self.sgd, self.last = options.get("iid", False), sgd, last
        self.names, self.options = names, options
        # The order of the axes is that of the help.
        of_spectrum = ("alpha", "beta", "m") if sgd else ("b", "a", "m", "v0")
        self.of_spectrum = tuple(
            k for k in of_spectrum if options.get(k) is not None and k not in names
        )
        lists = [k for k in (*self.of_spectrum, *names) if isinstance(options[k], list)]
        varied = [k for k in lists if k != last]
        self.together = varied if len(varied) > 1 and not options.get("grid") else []
        if len({len(options[k]) for k in self.together}) > 1:
            said = ", ".join(f"--{_SHOWN.get(k, k)} {len(options[k])}" for k in self.together)
            raise click.UsageError(
                f"lists go together, one number of each, but their lengths differ ({said}); "
                "--grid takes every combination"
            )
        # The first of those that go together stands for all.
        self.axes = [k for k in lists if k not in self.together[1:]]
        self.doubts: set[str] = set()

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(len(self.options[k]) for k in self.axes)

    def points(self, skip: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
        """Every combination, but for the names skipped."""
        free = [k for k in self.axes if k not in skip]
        for places in product(*(range(len(self.options[k])) for k in free)):
            at = {k: self.options[k][i] for k, i in zip(free, places, strict=True)}
            for k, i in zip(free, places, strict=True):
                if k in self.together:
                    at |= {other: self.options[other][i] for other in self.together}
            yield self.options | at

    def spectrum(self, at: dict[str, Any]) -> Any:
        """Make the spectrum at a point; none where the model has none."""
        from isoloss.theory import power_law, sgd_spectrum

        if self.sgd:
            return sgd_spectrum(alpha=at["alpha"], beta=at["beta"], M=at["m"])
        if "b" not in at:
            return None
        return power_law(b=at["b"], a=at["a"], M=at["m"], iid=self.iid, v0=at["v0"])

    def collect(self, one: Callable[..., dict[str, Any]], wide: bool = False) -> dict[str, Any]:
        """Call the model at every point and give each key of its answers the shape of the grid.

        A model that broadcasts (``wide``) is called once a spectrum, others once a point with the
        last option whole.
        """
        import numpy as np

        wide = wide and not self.together
        inner = [k for k in self.axes if k in self.names and (wide or k == self.last)]
        found: dict[str, list[Any]] = {}
        for at in self.points(tuple(inner)):
            arguments = {k: at[k] for k in self.names}
            if wide:
                arguments |= {
                    k: np.array(at[k]).reshape([-1] + [1] * (len(inner) - 1 - i))
                    for i, k in enumerate(inner)
                }
            for key, value in one(self.spectrum(at), *arguments.values()).items():
                found.setdefault(key, []).append(value)
        size = int(np.prod(self.shape[: len(self.shape) - len(inner)], dtype=int))
        return {key: self._shaped(values, size) for key, values in found.items()}

    def _shaped(self, values: list[Any], outer: int) -> Any:
        """Nest a flat list of answers; scalars stay scalars."""
        import numpy as np

        if not values or values[0] is None or isinstance(values[0], str):
            array = np.array(values, dtype=object)
        else:
            array = np.array(values)
        inner = array.shape[1:]
        axes = [len(self.options[k]) for k in self.axes]
        shape = tuple(axes[: len(axes) - len(inner)]) if len(inner) else tuple(axes)
        if array.shape[0] == outer and not inner and outer != int(np.prod(axes, dtype=int)):
            # One number for a whole last axis, as a limit.
            shape = tuple(axes[:-1])
        return array.reshape(shape + inner).tolist()

    def simulated(self, drawn: Callable[..., Any], step: Callable[[str], None]) -> dict[str, Any]:
        """Simulate at every point: ``z`` of the first quantity, ``simulation`` with all."""
        import numpy as np

        inner = [k for k in self.axes if k == self.last]
        where = {"device": self.device} if self.device else {}
        parts: dict[str, dict[str, list[Any]]] = {}
        with _processes(self.jobs) as executor:
            for at in self.points(tuple(inner)):
                found = drawn(
                    self.spectrum(at), *(at[k] for k in self.names),
                    draws=self.simulate, rng=self.seed, on_step=step, executor=executor,
                    **where,
                )  # fmt: skip
                for name in found.theory:
                    for key in ("mean", "sem", "z"):
                        row = getattr(found, key)[name]
                        parts.setdefault(name, {}).setdefault(key, []).append(row)
        shaped: dict[str, Any] = {
            name: {k: np.array(v).reshape(self.shape).tolist() for k, v in part.items()}
            for name, part in parts.items()
        }
        first = next(iter(shaped))
        return {"z": shaped[first]["z"], "simulation": {"draws": self.simulate} | shaped}

    def picture(self, answer: dict[str, Any]) -> None:
        """Write losses against the longest list of numbers."""
        from pathlib import Path

        from isoloss._core.serial import write_atomic
        from isoloss.errors import InputError
        from isoloss.plot import svg_bytes
        from isoloss.plot.theory import draw_theory

        if not self.axes:
            raise InputError("plot: a single point makes no curve; give a list, as --N 10,30,100")
        axes = {_SHOWN.get(k, k): self.options[k] for k in self.axes}
        write_atomic(Path(str(self.plot)), svg_bytes(draw_theory(answer, axes)))

    def table(self, answer: dict[str, Any]) -> str:
        """Rows for people: one a point."""
        import numpy as np

        flat = {k: np.array(v, dtype=object) for k, v in answer.items() if not isinstance(v, dict)}
        if "simulation" in answer:
            for name, part in answer["simulation"].items():
                if name != "draws":
                    for key in ("mean", "sem"):
                        flat[f"{name} {key}"] = np.array(part[key], dtype=object)
        shape = self.shape
        varied = [*self.together, *(k for k in self.axes if k not in self.together)]
        heads = [*(_SHOWN.get(k, k) for k in varied), *flat]
        rows = []
        for i, at in enumerate(self.points()):
            values = [at[k] for k in varied]
            index = np.unravel_index(i, shape) if shape else ()
            cells = [v[index[: v.ndim]] if v.ndim else v.item() for v in flat.values()]
            rows.append([_cell(v) for v in (*values, *cells)])
        if not self.axes:
            width = max(len(h) for h in heads)
            return "\n".join(f"{h:<{width}}  {v}" for h, v in zip(heads, rows[0], strict=True))
        widths = [max(len(r[j]) for r in (heads, *rows)) for j in range(len(heads))]
        return "\n".join(
            "  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True))
            for row in (heads, *rows)
        )


def _processes(jobs: int) -> Any:
    """Open a pool of processes; none for one job."""
    from isoloss._core.local_pool import LocalPool

    return nullcontext() if jobs == 1 else LocalPool(jobs)


def _cell(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float | int) else str(value)
