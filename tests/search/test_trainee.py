"""What one network learns from a batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inference.networks import Arch, build
from inference.preprocess import Recipe
from search.samples import Batch
from search.trainee import Plan, Stage, Teacher, Trainee, as_input

TINY = Arch("rx", (("grid", (2, 1)), ("hidden", (8,)), ("widths", (4, 8, 8, 16))))
PLAN = Plan(TINY, (Stage(1, 1.0, True, 1e-3),), Recipe(width=64, height=96))


def test_marked_fractures_are_part_of_what_is_learned():
    batch = Batch(
        np.random.default_rng(0).random((4, 1, 96, 64), np.float32),
        np.array([1, 0, 1, 0], np.float32),
        [np.array([[10, 10, 40, 40]], np.float32), *[np.zeros((0, 4))] * 3],
    )
    unmarked = replace(PLAN, boxes=0.0)
    moved = []
    for plan in PLAN, unmarked:
        trainee = Trainee(plan)
        before = trainee.box_head.weight.detach().clone()
        trainee.learn(batch, 1e-3)
        moved.append((trainee.box_head.weight.detach() - before).abs().max().item())
    assert moved[0] > 5e-4 > moved[1]


@pytest.mark.parametrize("focus", [0.0, 2.0])
def test_marks_of_a_view_count_as_much_as_its_label(focus):
    """Drawn after the overlay was seen, they say the most of what the overlay said."""
    plan, weights = replace(PLAN, boxes=3.0, focus=focus), np.zeros(4, np.float32)
    weights[0] = 1
    bare = [np.zeros((0, 4), np.float32)] * 4
    marked = [bare[0], *[np.array([[10, 10, 40, 40]], np.float32)] * 3]
    counted = []
    for boxes, weight in ((bare, weights), (marked, weights), (marked, None)):
        trainee = Trainee(plan)
        trainee.learn(replace(broken(), boxes=boxes, weights=weight), 1e-3)
        counted.append(trainee.box_head.weight.detach())
    assert torch.allclose(counted[0], counted[1], atol=1e-6)
    assert not torch.allclose(counted[0], counted[2], atol=1e-6)


def broken(count=4):
    """Noise without boxes, all of it labelled fractured."""
    images = np.random.default_rng(0).random((count, 1, 96, 64), np.float32)
    return Batch(images, np.ones(count, np.float32), [np.zeros((0, 4))] * count)


def sceptic():
    """A teacher who sees no fracture anywhere."""
    network = build(TINY).eval()
    torch.nn.init.zeros_(network.head[-1].weight)
    torch.nn.init.constant_(network.head[-1].bias, -8.0)
    return Teacher(network, Recipe(width=64, height=96))


@pytest.mark.parametrize(("share", "ends"), [(0.0, "high"), (1.0, "low")])
def test_a_teacher_is_believed_as_far_as_the_plan_says(share, ends):
    plan = replace(PLAN, teaching=share, boxes=0.0)
    trainee = Trainee(plan, sceptic())
    for _ in range(30):
        trainee.learn(broken(), 3e-3)
    with torch.no_grad():
        logits = trainee.network(torch.from_numpy(broken().images))
    assert (logits.mean() > 0) == (ends == "high")


def test_it_can_begin_with_the_weights_of_another():
    other = {name: value * 0 + 0.5 for name, value in build(TINY).state_dict().items()}
    trainee = Trainee(PLAN, start=other)
    for state in trainee.network.state_dict(), trainee.average.state_dict():
        assert all(torch.equal(state[name], other[name]) for name in other)


def test_a_label_counts_as_much_as_its_weight():
    plan = replace(PLAN, boxes=0.0)
    one, none = Trainee(plan), Trainee(plan)
    batch = broken()
    one.learn(replace(batch, weights=np.array([1, 0, 0, 0], np.float32)), 1e-3)
    assert none.learn(replace(batch, weights=np.zeros(4, np.float32)), 1e-3) == 0
    images = batch.images.copy()
    images[1:] = 0.3  # what counts nothing may be anything
    other = Trainee(plan)
    weights = np.array([1, 0, 0, 0], np.float32)
    other.learn(replace(batch, images=images, weights=weights), 1e-3)
    pairs = zip(one.network.parameters(), other.network.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)


def test_a_frozen_stage_leaves_the_features_alone():
    trainee = Trainee(PLAN)
    for stage, moves in (
        (replace(PLAN.stages[0], frozen=True), False),
        (
            PLAN.stages[0],
            True,
        ),
    ):
        before = {n: w.clone() for n, w in trainee.network.state_dict().items()}
        trainee.begin(stage)
        trainee.learn(broken(), 1e-3)
        after = trainee.network.state_dict()
        moved = {
            n.split(".")[0] for n in before if not torch.equal(before[n], after[n])
        }
        assert moved == ({"features", "head"} if moves else {"head"})


def test_it_can_begin_with_features_alone():
    start = {
        name: torch.full_like(value, 0.5)
        for name, value in build(TINY).state_dict().items()
        if name.startswith("features")
    }
    state = Trainee(PLAN, start=start).network.state_dict()
    assert all(torch.equal(state[name], start[name]) for name in start)
    assert any(state[name].std() > 0 for name in state.keys() - start.keys())


def test_boxes_teach_attention_where_to_look_also_while_the_features_rest():
    arch = Arch("squeezenet", (("attention", 0.5),))
    plan = replace(PLAN, arch=arch)
    trainee = Trainee(plan)
    trainee.begin(replace(PLAN.stages[0], frozen=True))
    before = {n: w.clone() for n, w in trainee.network.state_dict().items()}
    box = np.array([[10, 10, 40, 40]], np.float32)
    trainee.learn(replace(broken(), boxes=[box] * 4), 1e-3)
    after = trainee.network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    attention = [name for name in before if "marks" in name]
    assert moved == {*attention, *(name for name in before if "head" in name)}


def test_the_average_follows_fast_while_it_knows_little_then_as_the_plan_says():
    trainee = Trainee(replace(PLAN, ema=0.4))
    last = trainee.network.head[-1].weight
    expected = last.detach().clone()
    for step in range(1, 13):
        trainee.learn(broken(), 1e-3)
        kept = min(0.4, step / (9 + step))
        expected = kept * expected + (1 - kept) * last.detach()
        assert torch.allclose(trainee.average.head[-1].weight, expected, atol=1e-6)
    assert not torch.allclose(expected, last, atol=1e-4)


def test_no_batch_pulls_harder_than_the_others():
    """However loud its boxes are."""
    trainee = Trainee(replace(PLAN, boxes=1e5))
    box = np.array([[10, 10, 40, 40]], np.float32)
    trainee.learn(replace(broken(), boxes=[box] * 4), 1e-3)
    pulled = [p.grad for p in trainee.learning.parameters() if p.grad is not None]
    assert torch.nn.utils.get_total_norm(pulled).item() == pytest.approx(5, rel=1e-3)


def test_views_and_weights_lie_as_trains_fastest():
    views = as_input(broken().images, PLAN.recipe)
    assert views.stride() == (96 * 64, 1, 64, 1)
    kernels = [w for w in Trainee(PLAN).network.parameters() if w.dim() == 4]
    wide = [w for w in kernels if w.shape[1] > 1 and w.shape[-1] > 1]
    assert wide
    for kernel in wide:
        assert kernel.is_contiguous(memory_format=torch.channels_last)


def test_focus_draws_attention_to_the_middle_of_a_box():
    """Learning the same views over and over, the more the longer."""
    arch = Arch("squeezenet", (("attention", 0.5), ("stride", 8)))
    box = np.array([[16, 16, 48, 80]], np.float32)
    batch = replace(broken(), boxes=[box] * 4)
    middle = []
    for focus in (0.0, 3.0):
        trainee = Trainee(replace(PLAN, arch=arch, boxes=0.0, focus=focus))
        trainee.begin(PLAN.stages[0])
        for _ in range(6):
            trainee.learn(batch, 1e-3)
        with torch.no_grad():
            _, marks = trainee.learning.eval()(torch.from_numpy(batch.images))
        shares = torch.softmax(marks.flatten(1), 1).view_as(marks)
        # Cells at 8 i: those of the box's inner half.
        middle.append(shares[:, :, 4:9, 3:6].sum((1, 2, 3)).mean().item())
    assert middle[1] > 1.2 * middle[0]


def test_a_label_does_not_teach_attention():
    plan = replace(PLAN, arch=Arch("squeezenet", (("attention", 0.5),)), boxes=0.0)
    trainee = Trainee(plan)
    trainee.begin(PLAN.stages[0])
    trainee.optimizer.param_groups[0]["weight_decay"] = 0.0
    before = trainee.attentions[0].marks.bias.detach().clone()
    trainee.learn(broken(), 1e-3)
    assert torch.equal(trainee.attentions[0].marks.bias.detach(), before)


def test_what_the_network_holds_likely_outweighs_a_label_as_the_plan_says():
    """All is labelled fractured; the network begins sure that nothing is."""
    start = {f"head.{len(build(TINY).head) - 1}.bias": torch.tensor([-8.0])}
    ends = []
    for share in 0.0, 1.0:
        trainee = Trainee(replace(PLAN, bootstrap=share, boxes=0.0), start=start)
        for _ in range(40):
            trainee.learn(broken(), 1e-2)
        with torch.no_grad():
            ends.append(trainee.network(torch.from_numpy(broken().images)).mean())
    assert ends[0] > 0 > ends[1]
