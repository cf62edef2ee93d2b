"""The questions asked of training: one a row, each against a row it differs from."""

from dataclasses import dataclass, replace

from inference.networks import ARCHS, Arch
from inference.preprocess import Recipe
from search.run import PLANS, RX_LARGE_TRAINED, RX_TRAINED
from search.trainee import Plan, Stage

PUBLISHED = "published"  # ImageNet's weights of SqueezeNet
UNLABELLED = "unlabelled"  # what search.pretext learns from every radiograph

# Small enough for every question to be asked of three seeds on two cores.
SMALL = Recipe(width=128, height=192)
SCRATCH = Stage(14, 1.0, True, 1e-3)
OURS = replace(SCRATCH, everything=False)
TUNED = Stage(3, 1.0, True, 1e-3, frozen=True), Stage(9, 1.0, True, 1e-4)

RESNET = Plan(ARCHS["resnet18"], (SCRATCH,), SMALL)
SQUEEZE = replace(
    PLANS["squeezenet"],
    arch=Arch("squeezenet", (("dropout", 0.3),)),
    stages=TUNED,
    recipe=SMALL,
    boxes=1.0,
    focus=0.0,
    patience=0,
)
LOOKING = replace(
    SQUEEZE, arch=Arch("squeezenet", (("attention", 0.5), ("dropout", 0.3)))
)


@dataclass(frozen=True)
class Row:
    """One way of training. words: what is asked. against: the row to hold it against.

    start: PUBLISHED, UNLABELLED, or a row whose weights of the same seed it begins
    with. teacher: a row whose opinions of the same seed it learns. phantoms: it
    learns from those alone. by_study: every image of a fractured study is labelled
    fractured, as where nobody labels images. pointed: the pointing game is played,
    which takes a minute.
    """

    words: str
    plan: Plan
    against: str = ""
    start: str = ""
    teacher: str = ""
    phantoms: bool = False
    by_study: bool = False
    pointed: bool = False


def _squeeze(words: str, against: str = "squeezenet", **changes: object) -> Row:
    return Row(words, replace(SQUEEZE, **changes), against, PUBLISHED)


def _after(words: str, row: str, stage: Stage, plan: Plan = RESNET) -> Row:
    return Row(words, replace(plan, stages=(stage,)), against=row, start=row)


def _looking(words: str, against: str = "attention", **changes: object) -> Row:
    return Row(words, replace(LOOKING, **changes), against, PUBLISHED, pointed=True)


def _sized(width: int, height: int, against: str) -> Row:
    words = f"attention, {width}×{height}"
    return _looking(words, against, recipe=Recipe(width=width, height=height))


ROWS = {
    "scratch": Row("ResNet18 from scratch, every body part", RESNET),
    "upper-limb": Row(
        "upper limbs only", replace(RESNET, stages=(OURS,)), against="scratch"
    ),
    "then-upper-limb": _after(
        "every part, then upper limbs", "scratch", replace(OURS, epochs=5, rate=3e-4)
    ),
    "phantoms": Row(
        "phantoms alone",
        replace(RESNET, stages=(replace(SCRATCH, epochs=6),)),
        against="scratch",
        phantoms=True,
    ),
    "after-phantoms": Row(
        "begun with phantoms", RESNET, against="scratch", start="phantoms"
    ),
    "after-unlabelled": Row(
        "begun without labels (SimSiam)", RESNET, against="scratch", start=UNLABELLED
    ),
    "taught": Row(
        "taught by SqueezeNet with attention",
        RESNET,
        against="scratch",
        teacher="attention",
    ),
    "squeezenet": _squeeze("SqueezeNet from ImageNet, head first", "scratch"),
    "whole": _squeeze("whole from the start", stages=(Stage(12, 1.0, True, 1e-4),)),
    "unmarked": _squeeze("boxes not used", boxes=0.0),
    "by-study": replace(_squeeze("labels of the study on every image"), by_study=True),
    "by-study-bootstrap": replace(
        _squeeze("the same, own opinion 0.2", "by-study", bootstrap=0.2),
        by_study=True,
    ),
    "attention": _looking("attention that boxes teach", "squeezenet"),
    "attention-more": _looking(
        "0.8 of attention instead of 0.5",
        arch=Arch("squeezenet", (("attention", 0.8), ("dropout", 0.3))),
    ),
    "attention-finer": _looking(
        "a map at stride 8 instead of 16",
        arch=Arch("squeezenet", (*LOOKING.arch.options, ("stride", 8))),
    ),
    "attention-focused": _looking("attention goes to the middle of a box", focus=2.0),
    "attention-boxes": _looking("boxes weigh three times as much", boxes=3.0),
    "attention-longer": _looking(
        "twice as long", stages=(TUNED[0], replace(TUNED[1], epochs=18))
    ),
    "attention-then-upper-limb": _after(
        "every part, then upper limbs",
        "attention",
        Stage(5, 1.0, False, 3e-5),
        LOOKING,
    ),
    "attention-inverted": _looking("half of the views inverted", invert=0.5),
    "attention-sgd": _looking(
        "SGD 0.01", optimizer="sgd", stages=(TUNED[0], replace(TUNED[1], rate=1e-2))
    ),
    "171x256": _sized(171, 256, "attention"),
    "256x384": _sized(256, 384, "171x256"),
    "341x512": _sized(341, 512, "256x384"),
    "512x768": _sized(512, 768, "341x512"),
    "residual-attention": Row(
        "residual attention",
        replace(RESNET, arch=ARCHS["residual-attention"]),
        against="scratch",
    ),
    "rx-lite": Row("Rx Lite", replace(RESNET, arch=RX_TRAINED), against="scratch"),
    "rx-large": Row(
        "Rx Large", replace(RESNET, arch=RX_LARGE_TRAINED), against="rx-lite"
    ),
}
