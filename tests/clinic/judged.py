"""Judged phantom studies of a few patients on each side of the split."""

from clinic import intake
from clinic.models import Study
from clinic.pseudonyms import patient
from inference import artifact
from inference.artifact import Spec
from inference.networks import Arch
from inference.phantom import study as phantom_study
from inference.preprocess import Recipe
from search.data import Example
from search.parts import Parts
from tests.clinic.factories import make_prediction, make_review
from tests.inference import tiny

PARENT = Spec(
    name="tiny",
    arch=Arch("resnet18", (("width", 16),)),
    recipe=Recipe(width=64, height=96, polarity="none", split=False, align=False),
    aggregation="alo",
    threshold=0.5,
)
SIDES = {"training": 4, "validation": 2, "test": 2}


def save_parent(folder):
    network = tiny.build(PARENT.arch)
    sides = {"training": ["elsewhere"], "validation": []}
    parts = {side: {"patients": patients} for side, patients in sides.items()}
    card = {"name": "tiny", "parts": parts}
    return artifact.save(folder, PARENT, network.state_dict(), card)


def side_of(patient_id):
    """training, validation or test: what becomes of this patient."""
    sides = Parts.of([Example(None, 0, "1", patient(patient_id))])
    return next(side for side, found in vars(sides).items() if found)


def people():
    """(patient id, side, fractured): as many of each as SIDES says, twice over."""
    wanted = {(side, f): n for side, n in SIDES.items() for f in (True, False)}
    number = 0
    while any(wanted.values()):
        number += 1
        side = side_of(f"P{number}")
        fractured = wanted[side, True] >= wanted[side, False]
        if wanted[side, fractured]:
            wanted[side, fractured] -= 1
            yield f"P{number}", side, fractured


def store(pacs):
    """Their studies in the PACS. -> study UID -> fractured."""
    labels = {}
    for seed, (name, _, fractured) in enumerate(people()):
        datasets = phantom_study(seed, fractured=fractured, rows=160, columns=128)
        for ds in datasets:
            pacs.store(tiny.file_of(ds, PatientID=name))
        labels[datasets[0].StudyInstanceUID] = fractured
    return labels


def judge(labels, radiologist):
    """A verdict on each, as if the active model had read it. -> reviews"""
    return [
        make_review(
            make_prediction(study),
            radiologist,
            "fracture" if labels[study.uid] else "no_fracture",
        )
        for study in Study.objects.order_by("pk")
    ]


def take_in(pacs, radiologist):
    labels = store(pacs)
    intake.sync(pacs)
    return judge(labels, radiologist)
