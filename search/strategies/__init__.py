"""How a search chooses what to try next.

To add a strategy, subclass `Strategy` and name it in STRATEGIES; the contract tests
pick it up from there.
"""

from search.strategies.libraries import Nevergrad, Optuna
from search.strategies.pareto import ParetoArchive, front
from search.strategies.single import (
    Evolution,
    FractNet,
    LocalSearch,
    OnePlusOne,
    RandomSearch,
    Regularised,
)
from search.strategies.strategy import Answer, Exhausted, Limit, Strategy

STRATEGIES: dict[str, type[Strategy]] = {
    "evolution": Evolution,
    "one-plus-one": OnePlusOne,
    "fractnet": FractNet,
    "regularised": Regularised,
    "local": LocalSearch,
    "random": RandomSearch,
    "pareto": ParetoArchive,
    "optuna": Optuna,
    "nevergrad": Nevergrad,
}
DEFAULT = "evolution"

__all__ = [
    "DEFAULT",
    "STRATEGIES",
    "Answer",
    "Exhausted",
    "Limit",
    "Strategy",
    "front",
]
