"""What a supernet is worth: sub-networks that begin with its weights, and the same from
random ones.

Each learns as a candidate of a search does and is judged on the test side, by which
nothing was chosen. What was trained is kept: a table that was interrupted goes on.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from inference.artifact import file_digest
from inference.preprocess import Recipe
from search import candidate, data, dataset, provenance, supernet_file
from search.candidate import EPOCHS, Task, attempt
from search.draws import Interval
from search.findings import Cases
from search.leaks import refuse_known
from search.markdown import in_words, markdown
from search.parts import Parts, ours
from search.provenance import of_parts
from search.run import loaded, measured, prepared
from search.samples import Samples, prepare
from search.spaces import SPACES, Space
from search.spaces.ofa import Architecture
from search.supernet import Supernet, arch
from search.train import Material, predict

HEAD = ("architecture", "parameters", "MAdds", "AUROC from the supernet [90 %]")
HEAD += ("from random weights [90 %]", "gain [90 %]")

Answer = Mapping[str, object]


@dataclass(frozen=True)
class Row:
    """One architecture, means over its seeds; None: all together. inherited, fresh:
    AUROC of the test studies, begun with the supernet's weights and with random ones.
    gain: of the former over the latter, on the same draws of patients. An interval is
    None where the test side lacks a kind."""

    architecture: Mapping[str, object] | None
    parameters: int | None
    madds: int | None
    inherited: Interval | None
    fresh: Interval | None
    gain: Interval | None


@dataclass(frozen=True)
class Heirs:
    """file: the supernet. size: (height, width) of whole views, where it is not to be
    that at which the supernet learnt."""

    file: Path
    images: Path
    work: Path
    architectures: int = 6
    seeds: Sequence[int] = (0, 1)
    epochs: int = EPOCHS
    batch: int = 32
    size: Sequence[int] | None = None

    def __post_init__(self) -> None:
        least = {"architectures": 2, "seeds": 0, "epochs": 1, "batch": 2, "size": 32}
        for name, low in least.items():
            given = getattr(self, name)
            for value in given or () if name in ("seeds", "size") else (given,):
                if value < low:
                    raise ValueError(f"{name}: {low} or more, not {value}.")
        if len(set(self.seeds)) < max(len(self.seeds), 1):
            raise ValueError("seeds: one or more, each once.")

    @cached_property
    def _read(self) -> tuple[Supernet, Mapping[str, object]]:
        return supernet_file.load(self.file)

    @property
    def supernet(self) -> Supernet:
        return self._read[0]

    @property
    def space(self) -> str:
        return next(n for n, space in SPACES.items() if space == self.supernet.space)

    @cached_property
    def chosen(self) -> list[Architecture]:
        return drawn(SPACES[self.space], self.architectures)

    @cached_property
    def parts(self) -> Parts:
        try:
            parts = Parts.of(data.examples(self.images))
        except FileNotFoundError as error:
            raise ValueError(
                f"{self.images} holds no labelled radiographs: {error.filename} is "
                "missing."
            ) from error
        for side, found in vars(parts).items():
            if len({example.label for example in ours(found)}) < 2:
                raise ValueError(
                    f"The {side} part of {self.images.name} has not both fractured "
                    "and sound patients: more are needed."
                )
        behind = provenance.behind_supernet(self._read[1])
        refuse_known(self.file.name, behind, parts.test, self.images)
        return parts

    @cached_property
    def material(self) -> Material:
        return prepared(self.parts, self._looks, self.work)[0]

    @cached_property
    def test(self) -> Samples:
        return prepare(self.parts.test, self._looks, self.work)[0]

    @cached_property
    def recipe(self) -> Recipe:
        return measured(self._looks, self.material.everything)

    @property
    def _looks(self) -> Recipe:
        """As the supernet's own views were made."""
        learnt = self._read[1].get("plan")
        looks = Recipe(**learnt["recipe"]) if learnt else Recipe()
        if self.size:
            height, width = self.size
            return replace(looks, height=height, width=width)
        if not learnt:
            raise ValueError(
                f"{self.file.name} does not say at which size it learnt: name one by "
                "--size H W."
            )
        return looks

    @cached_property
    def _digests(self) -> tuple[str, str]:
        """Of the supernet, and of the radiographs with their labels and sides."""
        return file_digest(self.file), of_parts(self.parts)

    def answers(self, architecture: Architecture, seed: int, inherits: bool) -> Answer:
        """Logits of the test views, and costs; trained unless it was."""
        supernet = self.supernet if inherits else None
        task = Task(self.space, self.material, self.recipe, supernet, seed, self.batch)
        path = self.work / "heirs" / f"{self._key(task, architecture)}.json"
        if path.exists():
            return json.loads(path.read_text())
        folder = path.with_suffix("")
        tried = attempt(task, architecture, folder, self.epochs)
        network = loaded(tried.arch, tried.weights)
        logits = predict(network, self.test, self.recipe).tolist()
        told = {"logits": logits, "costs": tried.costs, "history": tried.history}
        dataset.write_text(path, json.dumps(told))
        shutil.rmtree(folder)
        return told

    def _key(self, task: Task, architecture: Architecture) -> str:
        """Another supernet, recipe, seed or data set never takes a stale answer; what
        begins with random weights is the same for all supernets."""
        chosen = arch(SPACES[task.space], architecture)
        plan = candidate.plan(task, chosen, self.epochs).to_json()
        supernet, images = self._digests
        said = [supernet if task.supernet else None, images, plan]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:20]

    def cases(self, told: Sequence[Answer]) -> Cases:
        """The test studies, each as suspicious as its most suspicious view."""
        test = self.test
        logits = np.array([one["logits"] for one in told]).reshape(-1, len(test))
        patients = np.array([e.patient for e in self.parts.test])[test.owners]
        inside = [test.studies == study for study in np.unique(test.studies)]
        return Cases(
            np.array([test.labels[i].max() for i in inside]),
            np.array([logits[:, i].max(1) for i in inside]).T,
            np.array([patients[i][0] for i in inside]),
        )


def drawn(space: Space, count: int) -> list[Architecture]:
    """The smallest, the largest, and random ones between, from small to large.

    Genes drawn evenly would all make networks of about the same size.
    """
    most, rng = np.array(space.choices) - 1, np.random.default_rng(0)
    found = [space.decode(0 * most), space.decode(most)]
    for share in np.linspace(0, 1, count)[1:-1]:
        one = found[0]
        while one in found:
            one = space.decode(rng.binomial(most, share))
        found.append(one)
    return sorted(found, key=space.parameters)


def rows(bench: Heirs) -> list[Row]:
    """A row an architecture, and one of them all: its interval is of other patients,
    not of other architectures."""
    asked = list(product(bench.chosen, bench.seeds, (True, False)))
    told = {one: bench.answers(*one) for one in tqdm(asked, "trainings")}
    found = [_row(bench, told, [architecture]) for architecture in bench.chosen]
    return [*found, _row(bench, told, bench.chosen)]


def _row(
    bench: Heirs,
    told: Mapping[tuple[Architecture, int, bool], Answer],
    of: Sequence[Architecture],
) -> Row:
    inherited, fresh = (
        bench.cases([told[a, seed, inherits] for a in of for seed in bench.seeds])
        for inherits in (True, False)
    )
    only = of[0] if len(of) == 1 else None
    costs = told[only, bench.seeds[0], False]["costs"] if only else {}
    return Row(
        SPACES[bench.space].to_json(only) if only else None,
        costs.get("parameters"),
        costs.get("madds"),
        inherited.auroc(),
        fresh.auroc(),
        inherited.less(fresh),
    )


def compared(bench: Heirs) -> tuple[list[dict[str, object]], str]:
    """All rows: as JSON, and as Markdown for a person."""
    found = rows(bench)
    studies, recipe = bench.cases([]), bench.recipe
    said = (
        f"{bench.space}, whole views of {recipe.height}×{recipe.width}, "
        f"{bench.epochs} epoch(s) in batches of {bench.batch}, "
        f"{len(bench.seeds)} seed(s); AUROC of {len(studies.labels)} test studies, "
        f"{studies.labels.sum()} of them fractured."
    )
    table = markdown(HEAD, [_cells(*numbered) for numbered in enumerate(found, 1)])
    return [asdict(row) for row in found], f"{said}\n\n{table}"


def _cells(number: int, row: Row) -> list[str]:
    known = row.architecture is not None
    return [
        str(number) if known else "all",
        f"{row.parameters / 1e6:.2f} M" if known else "–",
        f"{row.madds / 1e6:.0f} M" if known else "–",
        in_words(row.inherited),
        in_words(row.fresh),
        in_words(row.gain, "+"),
    ]
