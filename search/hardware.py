"""From times measured on a machine to the latency of any architecture; no torch.

A network's time is about the sum of its pieces' (Cai et al. 2019, arXiv:1812.00332),
up to what passing on between them saves or costs: one affine fit on whole networks,
measured on the same machine, takes that in, and others of them say how far it is off.
A table that is off by more than a tenth is refused: under foreign load a ranking by it
was worse than one by multiply-adds.
"""

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from inference.blueprint import EXPANSIONS, KERNELS, Block, Blueprint
from search.spaces import SIDE, SPACES

WORST = 0.10  # mean relative error on networks that were not fitted
FEWEST = 8  # whole networks, half of which are held out
MOST = 1e9  # no number of a table is larger and means anything
STEM, HEAD = "stem", "head"
WRITTEN = {"space", "size", "pieces", "networks", "machine"}


class UnfitTable(ValueError):
    """A table that must not be relied on; a sentence says why."""


class Piece(NamedTuple):
    """What is timed on its own: a block, or the STEM or HEAD of a blueprint, on an
    input of this size."""

    what: Block | str
    height: int
    width: int
    sizes: tuple[int, ...] = ()  # channels of the stem or head

    @property
    def key(self) -> str:
        """Names it in a table, and as a file."""
        if isinstance(self.what, Block):
            name = "block-" + "-".join(str(int(v)) for v in asdict(self.what).values())
        else:
            name = "-".join([self.what, *map(str, self.sizes)])
        return f"{name}-{self.height}x{self.width}"


def pieces(plan: Blueprint, height: int, width: int) -> Iterator[Piece]:
    """Those of a network for one-channel images of this size, in their order."""
    yield Piece(STEM, height, width, (plan.first,))
    height, width = -(-height // 2), -(-width // 2)
    for block in plan.blocks:
        yield Piece(block, height, width)
        height, width = (-(-side // block.stride) for side in (height, width))
    sizes = (plan.blocks[-1].after, plan.last, plan.mixed)
    yield Piece(HEAD, height, width, sizes)


def every_piece(space: str, height: int, width: int) -> list[Piece]:
    """Of all architectures of a space: a block knows nothing of the others' genes."""
    found: dict[Piece, None] = {}
    for kernel in KERNELS:
        for expansion in EXPANSIONS:
            known = SPACES[space]
            genes = known.encode(known.start)
            first, second = KERNELS.index(kernel), EXPANSIONS.index(expansion)
            uniform = (2,) * 5 + (first,) * 20 + (second,) * 20
            plan = known.blueprint(known.decode(uniform[: len(genes)]))
            found |= dict.fromkeys(pieces(plan, height, width))
    return list(found)


def examples(space: str, count: int, seed: int = 0) -> list[Hashable]:
    """Architectures to be measured whole, from small to large: drawn evenly, depths
    alone would hardly ever be all short or all long."""
    known, rng = SPACES[space], np.random.default_rng(seed)
    drawn = [known.sample(rng) for _ in range(20 * count)]
    ordered = sorted(drawn, key=known.parameters)
    return [ordered[i] for i in np.linspace(0, len(ordered) - 1, count).astype(int)]


def refuse_vain(height: int, width: int, networks: int) -> None:
    """UnfitTable for what would be measured and then taken by nobody."""
    low, high = SIDE
    if not all(low <= side <= high for side in (height, width)):
        raise UnfitTable(f"size: from {low} to {high} a side, as searches have it.")
    if networks < FEWEST:
        raise UnfitTable(f"{networks} whole networks; at least {FEWEST} needed.")


@dataclass(frozen=True)
class Table:
    """Milliseconds of every piece, and the fit. times: piece's key -> ms.

    error: mean relative one on the held-out networks. machine: what it was, and how
    busy. ranking: Kendall's tau there.
    """

    space: str
    height: int
    width: int
    times: Mapping[str, float]
    slope: float
    intercept: float
    error: float
    ranking: float
    machine: Mapping[str, object]

    def predict(self, architecture: Hashable) -> float:
        """Milliseconds of one image."""
        known = SPACES[self.space]
        plan = known.blueprint(architecture)
        keys = (piece.key for piece in pieces(plan, self.height, self.width))
        return self.slope * sum(self.times[key] for key in keys) + self.intercept

    def to_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, object]) -> "Table":
        """Refuses one that is damaged or too far off, however it came here."""
        try:
            table = cls(**said)
        except TypeError as error:
            raise UnfitTable(f"This is no latency table: {error}.") from error
        if words := _damage(table):
            raise UnfitTable(f"This is no latency table: {words}.")
        if table.error > WORST:
            raise UnfitTable(
                f"The table is off by {table.error:.0%} on networks it was not fitted "
                f"to, above {WORST:.0%}. Measure again while the machine is idle."
            )
        return table


def fit(measured: Mapping[str, object]) -> Table:
    """From what the agent wrote (see `search.pieces`), refused or not.

    Every second network, in the order of size, is held out. Weighed by their inverse
    squares, so that the relative error is what is least.
    """
    if words := _unwritten(measured):
        raise UnfitTable(f"This is not what an agent wrote: {words}.")
    space, (height, width) = measured["space"], measured["size"]
    times, networks = measured["pieces"], measured["networks"]
    if len(networks) < FEWEST:
        raise UnfitTable(f"{len(networks)} whole networks; at least {FEWEST} needed.")
    sums, actual = [], []
    for number, network in enumerate(networks):
        plan = _plan(space, network, number)
        sums.append(sum(times[piece.key] for piece in pieces(plan, height, width)))
        actual.append(network["ms"])
    sums, actual = np.array(sums), np.array(actual)
    slope, intercept = _affine(sums[::2], actual[::2])
    predicted = slope * sums[1::2] + intercept
    return Table(
        space=space,
        height=height,
        width=width,
        times=dict(times),
        slope=slope,
        intercept=intercept,
        error=float(np.abs(predicted / actual[1::2] - 1).mean()),
        ranking=_kendall(predicted, actual[1::2]),
        machine=dict(measured["machine"]),
    )


def _unwritten(measured: object) -> str:
    """What an agent would have written otherwise, in words; empty if nothing."""
    if not isinstance(measured, Mapping):
        return "no object of JSON"
    if missing := WRITTEN - measured.keys():
        return f"{', '.join(sorted(missing))} missing"
    size, networks = measured["size"], measured["networks"]
    if not isinstance(size, list) or not isinstance(networks, list):
        return "its size or its networks are no list"
    if not _is_told(measured["machine"]):
        return "its machine is not told as an agent does"
    return _untimed(measured["space"], size, measured["pieces"])


def _plan(space: str, network: object, number: int) -> Blueprint:
    """Of a whole network that was timed."""
    where = f"This is not what an agent wrote: network {number}"
    if not isinstance(network, Mapping) or not _is_time(network.get("ms")):
        raise UnfitTable(f"{where} has no time above 0.")
    if not isinstance(said := network.get("architecture"), Mapping):
        raise UnfitTable(f"{where} has no architecture.")
    try:
        return SPACES[space].blueprint(SPACES[space].from_json(said))
    except ValueError as error:
        raise UnfitTable(f"{where}: {error}.") from error


def _damage(table: Table) -> str:
    """What of it cannot be, in words; empty if nothing is."""
    for name in ("slope", "intercept", "error", "ranking"):
        if not _is_number(getattr(table, name)):
            return f"its {name} is no number"
    if table.error < 0:
        return "its error is below 0"
    if not _is_told(table.machine):
        return "its machine is not told as an agent does"
    return _untimed(table.space, [table.height, table.width], table.times)


def _untimed(space: object, size: Sequence[object], times: object) -> str:
    """Why these times do not tell of every network, in words; empty if they do."""
    if not isinstance(space, str) or space not in SPACES:
        return f"its space is none of {', '.join(sorted(SPACES))}"
    if len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        return "its size is not two numbers of pixels"
    if not isinstance(times, Mapping) or not all(map(_is_time, times.values())):
        return "its times are not all numbers above 0"
    missing = [p.key for p in every_piece(space, *size) if p.key not in times]
    return f"{len(missing)} pieces were not measured: {missing[0]}" if missing else ""


def _is_number(value: object) -> bool:
    """JSON as Python reads it knows NaN, too, and true is a number to Python."""
    return type(value) in (int, float) and -MOST <= value <= MOST


def _is_time(value: object) -> bool:
    return _is_number(value) and value > 0


def _is_told(machine: object) -> bool:
    """A database takes no NaN."""
    try:
        json.dumps(machine, allow_nan=False)
    except ValueError:
        return False
    return isinstance(machine, Mapping)


def _affine(sums: np.ndarray, actual: np.ndarray) -> tuple[float, float]:
    design = np.stack([sums, np.ones_like(sums)], 1) / actual[:, None]
    slope, intercept = np.linalg.lstsq(design, np.ones_like(actual), rcond=None)[0]
    return float(slope), float(intercept)


def _kendall(first: Sequence[float], second: Sequence[float]) -> float:
    signs = [np.sign(np.subtract.outer(values, values)) for values in (first, second)]
    pairs = len(first) * (len(first) - 1)
    return float((signs[0] * signs[1]).sum() / pairs)
