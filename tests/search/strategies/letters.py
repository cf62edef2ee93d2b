"""A search space small enough to count: four letters, of which some do not show."""

from dataclasses import dataclass
from itertools import product

GOAL = (2, 1, 2, 0, 1, 2)


@dataclass(frozen=True)
class Letters:
    """Genes of three values; after a first gene of 0 the last one does not show."""

    genes: int = 4
    start = None

    @property
    def choices(self):
        return (3,) * self.genes

    def sample(self, rng):
        return self.decode(rng.integers(self.choices))

    def mutate(self, architecture, share, rng):
        child = architecture
        while child == architecture:
            others = [
                (gene + rng.integers(1, 3)) % 3 if rng.random() < share else gene
                for gene in architecture
            ]
            child = self.decode(others)
        return child

    def canonical(self, architecture):
        return (*architecture[:-1], 0) if architecture[0] == 0 else architecture

    def encode(self, architecture):
        return architecture

    def decode(self, genes):
        return self.canonical(tuple(int(gene) for gene in genes))

    def to_json(self, architecture):
        return {"letters": "".join("abc"[gene] for gene in architecture)}

    def from_json(self, value):
        return tuple("abc".index(letter) for letter in value["letters"])

    def parameters(self, architecture):
        return int(cost(architecture))

    def madds(self, architecture, height, width):
        return int(cost(architecture)) * height * width

    def everything(self):
        return {self.decode(genes) for genes in product(range(3), repeat=self.genes)}


def fitness(architecture):
    """How many letters are right; higher is better, no two kinds of traps."""
    return float(sum(a == b for a, b in zip(architecture, GOAL * 9)))


def cost(architecture):
    return float(sum(architecture))
