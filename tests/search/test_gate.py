"""A worse candidate is refused, with the sentence that says why; an equal one not."""

from dataclasses import replace

import numpy as np
import pytest

from inference.doubt import Limits
from search.gate import judge
from search.holdout import Case, Measured, measured

SHIFT = 0.3


def case(number, label, chance):
    groups = {f"sex {'FM'[number % 2]}", "age child" if number < 100 else "age adult"}
    return Case(
        f"s{number}",
        f"s{number}",
        f"p{number // 2}",
        label,
        float(chance),
        frozenset(groups),
    )


@pytest.fixture
def incumbent():
    """400 studies of 200 patients, half fractured; finds about nine of ten."""
    rng = np.random.default_rng(5)
    labels = np.arange(400) // 2 % 2
    chances = np.clip(0.5 + 0.25 * (2 * labels - 1) + rng.normal(0, 0.2, 400), 0, 1)
    return Measured(
        name="serving",
        threshold=0.5,
        digest="d" * 64,
        cases=tuple(map(case, range(400), labels.tolist(), chances)),
        pointing={"lrp": 0.6, "gradcam": 0.5},
        milliseconds=100.0,
        learnt_from=frozenset({"elsewhere"}),
    )


@pytest.fixture
def candidate(incumbent):
    return replace(incumbent, name="fresh")


def changed(model, change):
    """`model` with the probability of each case as `change` says."""
    cases = [replace(c, probability=float(change(c))) for c in model.cases]
    return replace(model, cases=tuple(cases))


def refusals(candidate, incumbent):
    return judge(candidate, incumbent).blockers


def test_an_equal_one_passes(candidate, incumbent):
    judged = judge(candidate, incumbent)
    assert judged.blockers == ()
    assert {row.what for row in judged.rows} >= {
        "AUROC",
        "sensitivity",
        "specificity",
        "calibration error",
        "overlay hit rate, lrp",
        "milliseconds a view",
        "specificity, sex F (200 studies)",
    }
    assert {row.low for row in judged.rows if row.low is not None} == {0.0}


def test_a_better_one_passes_whatever_the_order_of_its_cases(candidate, incumbent):
    toward = changed(candidate, lambda c: (c.probability + 2 * c.label) / 3)
    better = replace(toward, cases=toward.cases[::-1])
    assert not [r for r in judge(better, incumbent).blockers if "calibration" not in r]
    row = judge(better, incumbent).rows[0]
    assert row.what == "AUROC" and row.low > 0


@pytest.mark.parametrize(
    ("what", "change"),
    [
        (
            "Sensitivity",
            lambda c: c.probability - c.label * SHIFT * (c.probability > 0.3),
        ),
        (
            "Specificity",
            lambda c: c.probability + (1 - c.label) * SHIFT * (c.probability < 0.7),
        ),
        ("AUROC", lambda c: 0.5 + (c.probability - 0.5) * (int(c.id[1:]) % 5 > 0)),
    ],
    ids=["sensitivity", "specificity", "auroc"],
)
def test_one_that_is_worse_at_it_is_refused(candidate, incumbent, what, change):
    found = [s for s in refusals(changed(candidate, change), incumbent) if what in s]
    assert len(found) == 1
    assert found[0].startswith(f"{what} 0.")
    assert "against 0." in found[0] and "90 % interval -" in found[0]
    assert "that is allowed" in found[0]


def test_one_that_only_might_be_as_good_is_refused(candidate, incumbent):
    """Too few patients to tell: the same shares, of other studies."""
    few = lambda m: replace(m, cases=m.cases[:24])  # noqa: E731
    before, after = few(incumbent), few(candidate)
    wrong = next(c.id for c in before.cases if c.label and c.probability < 0.5)
    right = next(c.id for c in before.cases if c.label and c.probability >= 0.5)
    swapped = {wrong: 0.6, right: 0.4}
    after = changed(after, lambda c: swapped.get(c.id, c.probability))
    (sentence,) = [s for s in refusals(after, before) if s.startswith("Sensitivity")]
    assert "difference of +0.000" in sentence


def test_a_subgroup_that_loses_is_named(candidate, incumbent):
    def blind(c):
        return c.probability * (0.3 if "age child" in c.subgroups and c.label else 1)

    found = refusals(changed(candidate, blind), incumbent)
    (sentence,) = [s for s in found if s.startswith("In age child")]
    assert sentence.startswith("In age child (100 studies) sensitivity is 0.0")
    assert "at most 0.10 less is allowed" in sentence
    assert not [s for s in found if "age adult" in s]


def test_a_subgroup_too_small_to_tell_is_not_judged(candidate, incumbent):
    rare = {f"s{number}" for number in range(29)}

    def named(model):
        cases = [
            replace(c, subgroups={f"maker {'rare' if c.id in rare else 'common'}"})
            for c in model.cases
        ]
        return replace(model, cases=tuple(cases))

    worse = changed(named(candidate), lambda c: c.probability * (c.id not in rare))
    judged = judge(worse, named(incumbent))
    assert not [row for row in judged.rows if "rare" in row.what]


def rare_women(lost, fractured=9):
    """600 men, half of them fractured, and 100 women, so many of them `fractured`; of
    whom the first `lost` are overlooked."""
    of = [("M", 1)] * 300 + [("M", 0)] * 300
    of += [("F", 1)] * fractured + [("F", 0)] * (100 - fractured)
    cases = []
    for number, (sex, label) in enumerate(of):
        seen = label and not (sex == "F" and number - 600 < lost)
        name, group = f"s{number}", frozenset({f"sex {sex}"})
        cases.append(Case(name, name, name, label, 0.9 if seen else 0.1, group))
    return Measured(
        "fresh" if lost else "serving",
        0.5,
        cases=tuple(cases),
        pointing={"lrp": 0.6, "gradcam": 0.5},
        milliseconds=100.0,
        learnt_from=frozenset({"elsewhere"}),
    )


def test_a_subgroup_counts_whichever_of_both_cards_tells_of_it():
    """Whoever learns from a copy without the sex of its patients is judged by it."""
    worse, serving = rare_women(9), rare_women(0)
    silent = [replace(case, subgroups=frozenset()) for case in worse.cases]
    found = refusals(replace(worse, cases=tuple(silent)), serving)
    (sentence,) = [words for words in found if "In sex F" in words]
    assert sentence.startswith("In sex F (100 studies, 9 with a fracture) sensitivity")


class TestASubgroupWithFewOfALabel:
    """A share of fewer than ten studies is coarse: they are counted."""

    @pytest.mark.parametrize("lost", [3, 9])
    def test_it_refuses_whoever_loses_three_of_them(self, lost):
        found = [w for w in refusals(rare_women(lost), rare_women(0)) if "sex" in w]
        assert found == [
            "In sex F (100 studies, 9 with a fracture) sensitivity is "
            f"{1 - lost / 9:.3f} against 1.000 in service: {lost} fewer are right, and "
            "of fewer than 10 at most 2 are allowed."
        ]

    def test_fewer_lost_than_tell_anything_are_noted(self):
        judged = judge(rare_women(2), rare_women(0))
        assert judged.blockers == ()
        assert judged.notes == (
            "In sex F (100 studies, 9 with a fracture) sensitivity says little: it is "
            "0.778 against 1.000 in service, 2 fewer are right, and of fewer than 10 "
            "it takes 3 to refuse.",
        )

    def test_one_that_loses_none_is_judged_and_passes(self):
        better = replace(rare_women(0), name="fresh")
        judged = judge(better, rare_women(3))
        assert (judged.blockers, judged.notes) == ((), ())
        rows = {row.what: row for row in judged.rows}
        row = rows["sensitivity, sex F (100 studies, 9 with a fracture)"]
        assert (row.incumbent, row.candidate) == (pytest.approx(6 / 9), 1.0)

    @pytest.mark.parametrize(
        ("fractured", "told"),
        [
            (2, "(100 studies, 2 with a fracture) sensitivity says little: it is 0.00"),
            (0, "(100 studies, 0 with a fracture) sensitivity says nothing: there is "),
        ],
    )
    def test_where_nothing_could_refuse_it_is_told(self, fractured, told):
        after, before = rare_women(2, fractured), rare_women(0, fractured)
        (note,) = judge(replace(after, name="fresh"), before).notes
        assert note.startswith(f"In sex F {told}")

    def test_the_sound_are_counted_too(self):
        sound = changed(rare_women(0, 97), lambda c: c.probability)
        alarmed = changed(
            sound, lambda c: 0.9 if "sex F" in c.subgroups else c.probability
        )
        found = refusals(replace(alarmed, name="fresh"), sound)
        (sentence,) = [words for words in found if "In sex F" in words]
        assert sentence.startswith(
            "In sex F (100 studies, 3 without a fracture) specificity is 0.000 against "
            "1.000 in service: 3 fewer are right"
        )


def pictured(name, chances, *, aggregation="alo", side=lambda n: ""):
    return measured(name, 0.5, card_of(chances, side), aggregation)


def card_of(chances, side=lambda n: ""):
    """A card that tells two images a study, with these chances.

    150 studies of 75 patients; the odd ones are fractured, on both images.
    """
    told = [
        {
            "id": f"i{n}.{view}",
            "study": f"s{n}",
            "patient": f"p{n // 2}",
            "label": n % 2,
            "probability": chance,
            "subgroups": {"side": side(n)},
        }
        for n in range(150)
        for view, chance in enumerate(chances(n))
    ]
    rates = {"lrp": 0.6, "gradcam": 0.5}
    holdout = {"digest": "d", "cases": told, "hits": rates, "milliseconds": 100}
    sides = {"training": ["elsewhere"], "validation": []}
    parts = {side: {"patients": patients} for side, patients in sides.items()}
    return {"holdout": holdout, "parts": parts}


def sure(n):
    return (0.9, 0.9) if n % 2 else (0.1, 0.1)


class TestTheUnit:
    """Radiologists judge studies, and so does the gate."""

    def test_a_fracture_seen_on_one_of_two_images_is_found(self):
        half = pictured("fresh", lambda n: (0.1, 0.9) if n % 2 else (0.1, 0.1))
        judged = judge(half, pictured("serving", sure))
        assert judged.blockers == ()
        (found,) = [row for row in judged.rows if row.what == "sensitivity"]
        assert (found.candidate, found.incumbent) == (1.0, 1.0)

    def test_as_many_images_right_may_be_more_studies_wrong(self):
        """Both err on 20 images, the one on ten studies, the other on twenty."""
        together = pictured(
            "serving", lambda n: (0.9, 0.9) if n % 2 or n < 20 else (0.1, 0.1)
        )
        apart = pictured(
            "fresh",
            lambda n: (0.9, 0.9) if n % 2 else (0.9, 0.1) if n < 40 else (0.1, 0.1),
        )
        assert refusals(together, apart) == ()
        (sentence,) = [s for s in refusals(apart, together) if "Specificity" in s]
        assert sentence.startswith("Specificity 0.733 against 0.867 in service: ")

    def test_each_makes_a_study_of_its_images_in_its_own_way(self):
        def alternating(n):
            return (0.1, 0.9) if n % 2 else (0.1, 0.1)

        most = pictured("fresh", alternating, aggregation="majority")
        found = refusals(most, pictured("serving", alternating))
        assert [s for s in found if s.startswith("Sensitivity 0.000 against 1.000")]

    def test_calibration_is_that_of_studies(self):
        """Of three images alike, noisy-or makes another probability."""
        bold = pictured("fresh", sure, aggregation="noisy_or")
        rows = {row.what: row for row in judge(bold, pictured("serving", sure)).rows}
        error = rows["calibration error"]
        assert error.incumbent == pytest.approx(0.1)
        assert error.candidate == pytest.approx((0.01 + 0.19) / 2)

    def test_a_subgroup_is_as_large_as_its_studies(self):
        """Fifty-eight images of twenty-nine studies are twenty-nine studies."""

        def named(count):
            side = lambda n: "L" if n < count else "R"  # noqa: E731
            models = (
                pictured("fresh", sure, side=side),
                pictured("old", sure, side=side),
            )
            return [row.what for row in judge(*models).rows if "side L" in row.what]

        assert named(29) == []
        assert named(30) == [
            "sensitivity, side L (30 studies)",
            "specificity, side L (30 studies)",
        ]

    def test_the_same_images_in_other_studies_are_another_holdout(self):
        known, other = pictured("fresh", sure), pictured("serving", sure)
        swap = {"s1": "s3", "s3": "s1"}
        images = [replace(i, study=swap.get(i.study, i.study)) for i in other.images]
        (sentence,) = refusals(known, replace(other, images=tuple(images)))
        assert sentence.startswith("The holdouts differ: ")

    def test_an_unknown_way_is_a_sentence(self):
        odd = pictured("fresh", sure, aggregation="oracle")
        assert refusals(odd, pictured("serving", sure)) == (
            "The holdout in the card of fresh cannot be used: nobody knows how "
            "'oracle' makes a study of its images.",
        )


def blocks(model, of):
    """`model` with patients of `of` studies each."""
    cases = [replace(c, patient=f"p{n // of}") for n, c in enumerate(model.cases)]
    return replace(model, cases=tuple(cases))


def test_patients_are_drawn_together(candidate, incumbent):
    """Four fractures lost in one block of twenty weigh more than in four people.

    Drawn one by one the studies would seem to show that so little is lost.
    """
    seen = [c.id for c in incumbent.cases if c.label and c.probability >= 0.5]
    assert {int(name[1:]) // 20 for name in seen[:4]} == {0}
    worse = changed(candidate, lambda c: c.probability * (c.id not in seen[:4]))
    found = {}
    for of in (1, 20):
        judged = judge(blocks(worse, of), blocks(incumbent, of))
        (row,) = [row for row in judged.rows if row.what == "sensitivity"]
        found[of] = row
    assert found[1].candidate == found[20].candidate
    assert found[20].low < 1.3 * found[1].low < 0
    assert not found[1].blocker
    assert found[20].blocker.startswith("Sensitivity 0.")


def test_both_models_are_drawn_together(candidate, incumbent):
    """What both find hard is no difference: the interval is of one, not of two."""
    one = next(c.id for c in incumbent.cases if c.label and c.probability >= 0.5)
    worse = changed(candidate, lambda c: c.probability * (c.id != one))
    (row,) = [r for r in judge(worse, incumbent).rows if r.what == "sensitivity"]
    assert row.high == 0.0  # never better, whichever patients are drawn
    assert row.low == pytest.approx(-3 / 200, abs=0.004)  # drawn thrice, one in twenty


def few(model, broken, sound, of=1):
    """`model` on so many studies with and without a fracture, `of` a patient."""
    kept = []
    for label, count in ((1, broken), (0, sound)):
        cases = [case for case in model.cases if case.label == label][:count]
        kept += [replace(c, patient=f"{label}-{n // of}") for n, c in enumerate(cases)]
    return replace(model, cases=tuple(kept))


@pytest.mark.parametrize(
    ("broken", "sound", "of", "enough"),
    [
        (1, 1, 1, False),
        (19, 100, 1, False),
        (100, 19, 1, False),
        (20, 20, 1, True),
        (20, 100, 2, True),
        (20, 100, 3, False),
        (100, 100, 11, True),
        (100, 100, 12, False),
    ],
)
def test_too_few_to_tell_is_refused_in_words(
    candidate, incumbent, broken, sound, of, enough
):
    found = refusals(*(few(m, broken, sound, of) for m in (candidate, incumbent)))
    if enough:
        assert found == ()
        return
    people = [-(-count // of) for count in (broken, sound)]
    assert found == (
        "The held-out studies are too few to judge by: "
        f"{broken} studies of {people[0]} patients with and {sound} studies of "
        f"{people[1]} patients without a fracture. At least 20 of each, of 10 "
        "patients, are needed.",
    )


def test_solid_marks_that_may_be_wrong_more_often_are_refused(candidate, incumbent):
    before = replace(incumbent, confident=0.8)
    assert refusals(replace(candidate, confident=0.8), before) == ()
    (sentence,) = refusals(replace(candidate, confident=0.5), before)
    assert sentence.startswith("Specificity of solid marks 0.8")
    assert "in service: the difference of -0.1" in sentence
    rows = judge(candidate, before).rows
    (row,) = [row for row in rows if row.what == "specificity of solid marks"]
    assert row.candidate == 1.0 > row.incumbent


def test_one_that_says_nothing_is_refused(candidate, incumbent):
    mute = replace(candidate, limits=Limits(uncertain_from=0.0, uncertain_to=1.1))
    assert refusals(mute, incumbent) == (
        "fresh says nothing of 1.000 of the held-out images against 0.000 in "
        "service: at most 0.05 more is allowed.",
    )


def test_bad_calibration_is_refused(candidate, incumbent):
    squeezed = changed(candidate, lambda c: 0.5 + (c.probability - 0.5) * 0.2)
    (sentence,) = refusals(squeezed, incumbent)
    assert sentence.startswith("Expected calibration error 0.")
    assert "at most 0.03 more is allowed" in sentence


def test_overlays_that_miss_more_are_refused(candidate, incumbent):
    worse = replace(candidate, pointing={"lrp": 0.49, "gradcam": 0.5})
    assert refusals(worse, incumbent) == (
        "The overlays of lrp hit 0.490 of the fractures against 0.600 in service: "
        "at most 0.10 less is allowed.",
    )
    assert (
        refusals(replace(worse, pointing={"lrp": 0.50, "gradcam": 1}), incumbent) == ()
    )


def hit(model, method="lrp", missed=(), marked=range(60), of=1):
    """`model` with an image a study, of which the `marked` are boxed, `of` a patient,
    and all hit by both methods but the `missed` by `method`."""
    both, other = (
        frozenset({"lrp", "gradcam"}),
        frozenset({"lrp", "gradcam"} - {method}),
    )
    images = [
        replace(c, patient=f"p{n // of}", hits=other if n in missed else both)
        if n in marked
        else c
        for n, c in enumerate(model.cases)
    ]
    return replace(model, images=tuple(images), marked=len(marked))


def overlay_rows(candidate, incumbent):
    judged = judge(candidate, incumbent)
    return judged, {
        r.what.split(", ")[1]: r for r in judged.rows if "hit rate" in r.what
    }


def test_hits_are_drawn_over_patients_for_both_together(candidate, incumbent):
    judged, rows = overlay_rows(hit(candidate), hit(incumbent, missed=range(6)))
    assert (judged.blockers, judged.notes) == ((), ())
    assert (rows["lrp"].incumbent, rows["lrp"].candidate) == (0.9, 1.0)
    assert 0 < rows["lrp"].low < 0.1 < rows["lrp"].high
    assert rows["gradcam"].low == rows["gradcam"].high == 0.0


def test_overlays_that_may_miss_more_are_refused(candidate, incumbent):
    """Two of twenty lost are what is allowed, but may well be more of others."""
    fresh = hit(candidate, missed=[0, 1], marked=range(20))
    (sentence,) = refusals(fresh, hit(incumbent, marked=range(20)))
    assert sentence.startswith(
        "The overlays of lrp hit 0.900 of 20 marked images against 1.000 in service: "
        "the difference of -0.100 (90 % interval -0."
    )
    assert sentence.endswith("may be worse than the -0.10 that is allowed.")
    assert refusals(hit(candidate, missed=[0]), hit(incumbent)) == ()


@pytest.mark.parametrize(
    ("marked", "of", "told"),
    [(1, 1, "1 image(s)"), (19, 1, "19 image(s)"), (40, 5, "40 image(s)")],
)
def test_of_few_marked_images_overlays_are_not_judged(
    candidate, incumbent, marked, of, told
):
    shown = range(marked)
    fresh = hit(candidate, missed=shown, marked=shown, of=of)
    judged, rows = overlay_rows(fresh, hit(incumbent, marked=shown, of=of))
    assert judged.blockers == ()
    assert judged.notes == (
        f"Overlays are not judged: both hold out {told} with a marked fracture, of "
        f"{marked // of} patient(s). At least 20, of 10 patients, are needed.",
    )
    assert {row.note for row in rows.values()} == {*judged.notes}


def test_a_holdout_without_marked_fractures_refuses_nobody(candidate, incumbent):
    none = {"pointing": {}, "marked": 0}
    judged = judge(replace(candidate, **none), replace(incumbent, **none))
    assert judged.blockers == ()
    (note,) = judged.notes
    assert note.startswith("Overlays are not judged: both hold out 0 image(s) with a ")


def test_who_was_not_measured_on_what_the_other_was_is_refused(candidate, incumbent):
    unmarked = replace(hit(candidate, marked=()), pointing={})
    assert refusals(unmarked, hit(incumbent)) == (
        "The overlay hit rate of lrp was not measured for fresh.",
        "The overlay hit rate of gradcam was not measured for fresh.",
    )


@pytest.mark.parametrize("marked", [range(1), range(19), range(60, 120)])
def test_one_that_tells_of_other_marks_than_the_one_in_service_is_refused(
    candidate, incumbent, marked
):
    fresh = hit(candidate, missed=marked, marked=marked)
    first, _ = refusals(fresh, hit(incumbent))
    assert first.startswith("The overlays were measured on other marks: ")
    assert "have both measured, on the page of" in first


def test_older_cards_are_compared_by_shares_and_tell_of_how_many(candidate, incumbent):
    shares = {"pointing": {"lrp": 0.49, "gradcam": 0.5}, "marked": 91}
    worse = replace(hit(candidate, marked=()), **shares)
    (sentence,) = refusals(worse, hit(incumbent, missed=range(60)))
    assert sentence.startswith("The overlays of lrp hit 0.490 of 60 marked images ag")
    assert "0.600 in service: at most 0.10 less" in sentence
    incumbent = replace(hit(incumbent, marked=()), marked=None)
    few = replace(worse, marked=1)
    assert "both hold out 1 image(s)" in judge(few, incumbent).notes[0]
    assert refusals(few, incumbent) == ()


def test_a_slow_one_is_refused(candidate, incumbent):
    assert refusals(replace(candidate, milliseconds=151), incumbent) == (
        "A view takes 151 ms against 100 ms in service: "
        "at most 1.5 times as long is allowed.",
    )
    assert refusals(replace(candidate, milliseconds=150), incumbent) == ()


@pytest.mark.parametrize("side", ["candidate", "incumbent", "both"])
def test_what_was_not_measured_speaks_against_it(candidate, incumbent, side):
    lacking = {"pointing": {"gradcam": 0.5}, "milliseconds": None}
    if side != "incumbent":
        candidate = replace(candidate, **lacking)
    if side != "candidate":
        incumbent = replace(incumbent, **lacking)
    names = {"candidate": "fresh", "incumbent": "serving", "both": "fresh and serving"}
    assert refusals(candidate, incumbent) == (
        f"The overlay hit rate of lrp was not measured for {names[side]}.",
        f"The time a view takes was not measured for {names[side]}.",
    )


def test_one_without_a_holdout_is_refused_and_nothing_else_is_said(incumbent):
    unmeasured = Measured("fresh", 0.5, trouble="fresh was not measured on a holdout.")
    judged = judge(unmeasured, incumbent)
    assert judged.blockers == ("fresh was not measured on a holdout.",)
    assert judged.rows == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda m: replace(m, cases=m.cases[:-1]),
        lambda m: replace(m, digest="e" * 64),
        lambda m: replace(m, cases=(replace(m.cases[0], label=1), *m.cases[1:])),
        lambda m: replace(m, cases=(replace(m.cases[0], patient="x"), *m.cases[1:])),
    ],
    ids=["one less", "digest", "label", "patient"],
)
def test_other_holdouts_are_not_compared(candidate, incumbent, change):
    (sentence,) = refusals(change(candidate), incumbent)
    assert sentence.startswith("The holdouts differ: fresh was judged on ")
    assert "serving in service on 400 studies (digest dddddddddddd)" in sentence
    assert "What to do: have both measured on the held-out studies" in sentence


def test_one_that_learnt_from_the_holdout_is_refused(candidate, incumbent):
    leaked = replace(candidate, learnt_from=frozenset({"p3", "p4", "p5", "p6", "q"}))
    assert refusals(leaked, incumbent) == (
        "fresh has learnt from 4 patients of the holdout (p3, p4, p5, …): "
        "its figures say nothing.",
    )


def test_one_that_comes_of_models_that_met_the_holdout_is_refused():
    """Parents, teachers, members, and whoever it was calibrated on."""
    serving, told = pictured("serving", sure), card_of(sure)
    told["learnt_before"] = {"patients": ["p3"], "unnamed": []}
    assert refusals(measured("fresh", 0.5, told, "alo"), serving) == (
        "fresh has learnt from 1 patient of the holdout (p3): its figures say nothing.",
    )
    told["learnt_before"] = {"patients": ["elsewhere"], "unnamed": ["parent"]}
    (sentence,) = refusals(measured("fresh", 0.5, told, "alo"), serving)
    assert sentence.startswith("fresh comes of parent, of which no card names the pat")
    for odd in (None, 3, {"patients": 3, "unnamed": {}}, {}):
        told["learnt_before"] = odd
        assert refusals(measured("fresh", 0.5, told, "alo"), serving) == ()


def test_one_that_does_not_say_what_it_learnt_from_is_refused(candidate, incumbent):
    (sentence,) = refusals(replace(candidate, learnt_from=None), incumbent)
    assert "does not name the patients" in sentence
