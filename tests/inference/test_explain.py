import pytest
import torch
from torch import nn

from inference.explain import EXPLAINERS, bounds, lrp
from inference.explain.faithfulness import randomisation, shuffled
from inference.explain.lrp import COMPOSITES
from inference.networks import Arch, build
from inference.preprocess import Recipe


@pytest.mark.parametrize("explain", EXPLAINERS.values(), ids=EXPLAINERS)
class TestEveryExplainer:
    """What the reader relies on, whatever the method and the network."""

    def test_answers_in_the_grid_of_the_views(
        self, explain, small_network, small_views
    ):
        relevance = explain(small_network, small_views)
        assert relevance.shape == (3, 96, 64)
        assert relevance.isfinite().all()
        assert not relevance.requires_grad

    def test_explains_each_view_as_if_it_were_alone(
        self, explain, small_network, small_views
    ):
        together = explain(small_network, small_views)
        alone = torch.cat([explain(small_network, v[None]) for v in small_views])
        assert torch.allclose(together, alone, rtol=1e-3, atol=1e-3 * together.std())

    @pytest.mark.parametrize("training", [False, True])
    def test_leaves_the_network_as_it_was(
        self, explain, training, small_network, small_views
    ):
        small_network.train(training)
        small_network.features.requires_grad_(False)
        before = everything_about(small_network)
        explain(small_network, small_views)
        assert everything_about(small_network) == before
        assert not small_views.requires_grad and small_views.grad is None

    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
    def test_works_in_a_worker_that_predicts_without_gradients(
        self, explain, mode, small_network, small_views
    ):
        expected = explain(small_network, small_views)
        with mode():
            small_network(small_views)
            assert torch.equal(explain(small_network, small_views.clone()), expected)

    @pytest.mark.parametrize("last", [False, True])
    def test_another_network_is_explained_otherwise(
        self, explain, last, small_network, small_views
    ):
        """Not a stale copy of the first, even if weights were changed in place."""
        before = explain(small_network, small_views)
        other = shuffled(small_network, seed=0, last=last)
        small_network.load_state_dict(other.state_dict())
        after = explain(small_network, small_views)
        assert torch.equal(after, explain(other, small_views))
        assert not torch.allclose(after, before, rtol=0.1)


def everything_about(network: nn.Module) -> dict[str, object]:
    about: dict[str, object] = {
        name: (value.tolist(), getattr(value, "grad", None), value.requires_grad)
        for name, value in network.state_dict(keep_vars=True).items()
    }
    for name, module in network.named_modules():
        hooks = [len(v) for k, v in vars(module).items() if "hooks" in k]
        about[f"module {name}"] = (
            type(module),
            module.training,
            hooks,
            set(vars(module)),
        )
    return about


def test_black_and_white_follow_the_recipe():
    low, high = bounds(Recipe(mean=0.5, std=0.25))
    assert (low, high) == (-2, 2)


def test_lrp_follows_the_recipe(small_network, small_views):
    """The box rule needs to know what black is in these views."""
    mine = lrp(small_network, small_views)
    other = lrp(small_network, small_views, recipe=Recipe(mean=0.2, std=0.1))
    assert not torch.allclose(mine, other, rtol=0.1)


# --- A finding small enough to learn within seconds ------------------------------

LEARNERS = {
    "resnet18": Arch("resnet18", (("width", 16),)),
    "residual_attention": Arch("residual_attention", (("width", 16),)),
    "rx": Arch(
        "rx", (("grid", (4, 3)), ("hidden", (64, 32)), ("widths", (8, 16, 32, 64)))
    ),
}


def bones(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Views (N, 1, 128, 96) of one bone each, every second one broken by a dark
    oblique line; a bright speck somewhere as a distraction. With labels (N, 1) and
    the middle (row, column) of the line (N, 2)."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.full((count, 1, 128, 96), 0.1)
    x[:, :, :, 34:62] = 0.6
    x += 0.05 * torch.randn(x.shape, generator=draw)
    label = torch.arange(count) % 2
    rows = torch.randint(15, 110, (count,), generator=draw)
    columns = torch.randint(36, 50, (count,), generator=draw)
    specks = torch.randint(5, 60, (count, 2), generator=draw)
    for i in range(count):
        row, column = specks[i]
        x[i, 0, row : row + 3, column : column + 3] += 0.25
        for k in range(10 * int(label[i])):
            x[i, 0, rows[i] + k // 3 : rows[i] + k // 3 + 2, columns[i] + k] -= 0.35
    low, high = bounds(Recipe())
    views = low + x.clamp(0, 1) * (high - low)
    return views, label[:, None].float(), torch.stack([rows + 2, columns + 5], dim=1)


@pytest.fixture(scope="module", params=LEARNERS)
def learned(request) -> nn.Module:
    torch.manual_seed(0)
    network, steps = build(LEARNERS[request.param]), 120
    adam = torch.optim.Adam(network.parameters())
    pace = torch.optim.lr_scheduler.OneCycleLR(adam, 4e-3, steps)
    for step in range(steps):
        views, labels, _ = bones(16, seed=step)
        loss = nn.functional.binary_cross_entropy_with_logits(network(views), labels)
        adam.zero_grad()
        loss.backward()
        adam.step()
        pace.step()
    return network.eval()


def test_the_small_networks_have_learned_it(learned):
    views, labels, _ = bones(64, seed=1000)
    with torch.no_grad():
        assert ((learned(views) > 0) == (labels > 0)).float().mean() > 0.9


# Of unseen breaks, how many must hold the peak: chance is about 3 %.
@pytest.mark.parametrize(
    ("method", "options", "rows", "columns", "share"),
    [
        *(("lrp", {"composite": name}, 6, 9, 0.7) for name in COMPOSITES),
        ("gradcam", {}, 16, 16, 0.7),  # one cell
    ],
)
def test_the_break_gets_the_peak(method, options, rows, columns, share, learned):
    views, labels, middles = bones(64, seed=1000)
    broken = labels[:, 0] > 0
    relevance = EXPLAINERS[method](learned, views[broken], **options)
    peaks = relevance.flatten(1).argmax(dim=1)
    off = torch.stack([peaks // 96, peaks % 96], dim=1) - middles[broken]
    hits = (off.abs() <= torch.tensor([rows, columns])).all(dim=1)
    assert hits.float().mean() >= share


@pytest.mark.parametrize("name", COMPOSITES)
def test_the_map_is_of_the_network_and_not_of_the_picture(name, learned):
    """Rank correlation with the map of a network that has learned nothing: 1 for a map
    of the picture alone. Over trainings from other seeds it is 0.01 to 0.7."""
    views, _, _ = bones(2, seed=1000)

    def explain(network, views):
        return lrp(network, views, composite=name)

    def picture(_, views):
        return (views - views.median()).abs().squeeze(1)

    def alike(explain):
        found = [randomisation(explain, learned, views[1:], seed) for seed in range(3)]
        return sum(found) / 3

    assert alike(explain) < 0.8 < alike(picture)
