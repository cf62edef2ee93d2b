import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch

from inference import artifact, picture, preprocess, runtime
from inference.artifact import Spec
from inference.networks import ARCHS, NETWORKS, Arch, build
from inference.networks.committee import seated
from inference.phantom import phantom
from tests.inference import tiny

MODELS = Path(artifact.__file__).parent / "models"
RX = Arch("rx", (("hidden", (16,)), ("widths", (4, 8, 8, 8))))
SMALL = {
    "aggregator": Arch("aggregator", (("view", ("rx", RX.options)),)),
    "committee": Arch("committee", (("attention", 0.5), ("members", 2))),
    "mobilenet": ARCHS["mobilenet-small"],
    "resnet18": tiny.SPEC.arch,
    "rx": RX,
    "residual_attention": Arch("residual_attention", (("width", 16),)),
    "squeezenet": ARCHS["squeezenet"],
}


def spec(arch):
    return Spec("test", arch, preprocess.Recipe(), "alo", 0.5)


@pytest.fixture(scope="module")
def views():
    """Phantoms as a network gets them: (6, 1, 512, 341)."""
    recipe = preprocess.Recipe()
    frames = [(phantom(seed, metal=seed > 2).pixels >> 4) for seed in range(6)]
    seen = [preprocess.views(f.astype(np.uint8), recipe)[0] for f in frames]
    return preprocess.tensor(seen, recipe)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    if request.param in ("squeezenet", "committee"):
        # Untrained, it hardly tells phantoms apart, and rounding would decide.
        trained = artifact.load_network(MODELS / "squeezenet")
        if request.param == "squeezenet":
            return trained
        made = build(SMALL["committee"]).eval()
        made.load_state_dict(seated([trained.state_dict()] * 2))
        return made
    return tiny.network(SMALL[request.param])


@pytest.fixture(scope="module")
def compiled(network):
    return runtime.compiled(network, spec(tiny.SPEC.arch))  # the arch is not looked at


def test_every_network_has_a_small_member_here():
    assert SMALL.keys() == NETWORKS.keys()


def test_a_network_need_not_begin_with_a_convolution():
    """OpenVINO would not know the type of its input, and fail later for that."""
    arch = ARCHS["mobilenet-small"]
    coloured = build(Arch(arch.family, (*arch.options, ("colours", 3)))).eval()
    probe = np.random.default_rng(0).normal(size=(1, 1, 128, 96)).astype(np.float32)
    with torch.inference_mode():
        wanted = coloured(torch.from_numpy(probe)).item()
    for candidate in runtime._candidates(runtime.Both(coloured).eval(), probe):
        # Untrained, it is no measure of what half a mantissa does.
        near = 1e-4 if candidate.backend.endswith("f32") else 0.3
        off = abs(candidate(probe).logits[0] - wanted)
        assert off <= near * max(1, abs(wanted)), candidate.backend


class TestEveryNetwork:
    def test_logits_are_those_of_plain_torch(self, network, compiled, views):
        with torch.inference_mode():
            wanted = network(torch.from_numpy(views)).numpy()[:, 0]
        logits = compiled(views).logits
        assert logits.dtype == np.float32 and logits.shape == (6,)
        assert np.abs(logits - wanted).max() <= runtime.TOLERANCE
        assert np.ptp(wanted) > 4 * runtime.TOLERANCE  # else anything would pass

    def test_features_are_the_means_between_the_halves(self, network, compiled, views):
        with torch.inference_mode():
            wanted = network.features(torch.from_numpy(views)).mean((2, 3)).numpy()
        features = compiled(views).features
        assert features.shape == wanted.shape and np.ptp(wanted) > 0
        assert np.abs(features - wanted).max() <= 0.02 * np.abs(wanted).max()

    def test_every_candidate_agrees_with_plain_torch(self, network, views):
        with torch.inference_mode():
            wanted = network(torch.from_numpy(views)).numpy()[:, 0]
        candidates = list(runtime._candidates(runtime.Both(network).eval(), views[:1]))
        assert candidates
        for candidate in candidates:
            off = np.abs(candidate(views).logits - wanted).max()
            exact = candidate.backend.endswith("f32")
            # bfloat16 may be too far off to serve, but it is the same network.
            assert off <= (1e-4 if exact else 4 * runtime.TOLERANCE), candidate.backend

    def test_the_same_views_give_the_same_numbers(self, compiled, views):
        first, second = compiled(views), compiled(views)
        assert first.logits.tolist() == second.logits.tolist()
        assert first.features.tolist() == second.features.tolist()

    def test_a_view_is_read_alike_in_any_company(self, compiled, views):
        alone = [compiled(views[i : i + 1]).logits[0] for i in range(len(views))]
        assert compiled(views[::-1]).logits.tolist() == alone[::-1]

    def test_the_network_is_left_as_it_was(self, network, compiled):
        assert not network.training
        assert all(p.grad is None for p in network.parameters())
        first = next(network.parameters())
        assert first.is_contiguous() and first.dtype == torch.float32


def test_no_views_give_no_logits(compiled):
    found = compiled(np.empty((0, 1, 512, 341), np.float32))
    assert found.logits.shape == (0,) and len(found.features) == 0


def test_views_may_be_a_slice_of_something_larger(compiled, views):
    wide = np.repeat(views[:1], 2, axis=3)
    there, here = compiled(wide[..., ::2]), compiled(views[:1])
    assert there.logits.tolist() == here.logits.tolist()


class Biased(torch.nn.Module):
    """Answers something else once it is compiled."""

    def __init__(self, network):
        super().__init__()
        self.features, self.last = network.features, network.head

    def head(self, x):
        return self.last(x) + (1.0 if torch.jit.is_tracing() else 0.0)


def test_what_gives_other_numbers_does_not_serve(views, caplog):
    network = tiny.network(SMALL["rx"])
    with torch.inference_mode():
        wanted = network(torch.from_numpy(views)).numpy()[:, 0]
    network = Biased(network).eval()
    compiled = runtime.compiled(network, spec(SMALL["rx"]))
    assert compiled.backend == "torch"
    assert "openvino f32 is off by 1.0" in caplog.text
    np.testing.assert_allclose(compiled(views).logits, wanted, atol=1e-4)


def test_what_errs_at_high_contrast_alone_does_not_serve(monkeypatch, caplog):
    network = tiny.network(SMALL["rx"])
    eager = runtime._eager(runtime.Both(network).eval(), "cpu")
    limit = runtime._probes(spec(SMALL["rx"]).recipe)[:4].max()

    def infer(view):
        logit, features = eager(view)
        return logit + (view.max() > limit), features

    other = runtime.Compiled("other", infer)
    monkeypatch.setattr(runtime, "_candidates", lambda *_: iter([other]))
    assert runtime.compiled(network, spec(SMALL["rx"])).backend == "torch"
    assert "other is off by 1.000" in caplog.text  # not merely slower


def test_what_is_less_exact_than_what_errs_is_not_even_made(monkeypatch):
    network = tiny.network(SMALL["rx"])
    eager = runtime._eager(runtime.Both(network).eval(), "cpu")

    def candidates(*_):
        yield runtime.Compiled("off", lambda view: (eager(view)[0] + 1, eager(view)[1]))
        pytest.fail("another was made")

    monkeypatch.setattr(runtime, "_candidates", candidates)
    assert runtime.compiled(network, spec(SMALL["rx"])).backend == "torch"


class TestBytes:
    """The form whose deep convolutions run in 8 bits, of the shipped ResNet18."""

    @pytest.fixture(scope="class")
    def recipe(self):
        return artifact.load_spec(MODELS / "resnet18").recipe

    @pytest.fixture(scope="class")
    def forms(self, recipe):
        network = runtime.Both(artifact.load_network(MODELS / "resnet18")).eval()
        made = runtime._candidates(network, runtime._probes(recipe))
        return {form.backend.split()[-1]: form for form in made}

    def test_a_view_it_cannot_hold_is_read_in_single_precision(self, forms, recipe):
        noise = np.random.default_rng(0).normal(
            0, 6, (1, 1, recipe.height, recipe.width)
        )
        loud, plain = noise.astype(np.float32), runtime._probes(recipe)[:1]
        bytes_, exact = forms["int8"], forms["f32"]
        assert bytes_(loud).logits.tolist() == exact(loud).logits.tolist()
        assert bytes_(loud).features.tolist() == exact(loud).features.tolist()
        assert bytes_(plain).logits.tolist() != exact(plain).logits.tolist()

    def test_radiographs_are_read_as_in_single_precision(
        self, forms, recipe, sample_data
    ):
        folder = sample_data / "fracatlas" / "images"
        fractured = sorted((folder / "Fractured").glob("*.jpg"))[::30]
        others = sorted((folder / "Non_fractured").glob("*.jpg"))[::200]
        frames = [picture.frame(path).pixels for path in fractured + others]
        seen = [preprocess.views(pixels, recipe)[0] for pixels in frames]
        views = preprocess.tensor(seen, recipe)
        exact, quick = forms["f32"](views).logits, forms["int8"](views).logits
        assert len(views) >= 20 and np.ptp(exact) > 20 * runtime.TOLERANCE
        assert 0 < np.abs(quick - exact).max() <= runtime.TOLERANCE


@pytest.mark.parametrize(("seconds", "serves"), [(1.0, "other"), (3.0, "torch")])
def test_the_fastest_of_those_that_agree_serves(monkeypatch, seconds, serves):
    network = tiny.network(SMALL["rx"])
    other = runtime.Compiled(
        "other", runtime._eager(runtime.Both(network).eval(), "cpu")
    )
    monkeypatch.setattr(runtime, "_candidates", lambda *_: iter([other]))
    clock = {"torch": 2.0, "other": seconds}
    real = runtime._trial

    def timed(candidate, probes):
        return real(candidate, probes)[0], clock[candidate.backend]

    monkeypatch.setattr(runtime, "_trial", timed)
    assert runtime.compiled(network, spec(SMALL["rx"])).backend == serves


def test_threads_are_those_of_torch_and_are_not_pinned(views, monkeypatch):
    seen = []
    compile_model = ov.Core.compile_model

    def spy(core, model, device, config):
        seen.append(config)
        return compile_model(core, model, device, config)

    monkeypatch.setattr(ov.Core, "compile_model", spy)
    runtime.compiled(tiny.network(SMALL["rx"]), spec(SMALL["rx"]))
    assert {c["INFERENCE_NUM_THREADS"] for c in seen} == {torch.get_num_threads()}
    assert not any(c["ENABLE_CPU_PINNING"] for c in seen)


@pytest.mark.parametrize("name", ["resnet18", "rx-lite"])
def test_shipped_architectures_compile(name):
    network = tiny.network(ARCHS[name])
    compiled = runtime.compiled(network, spec(ARCHS[name]))
    assert np.isfinite(compiled(np.zeros((1, 1, 512, 341), np.float32)).logits).all()


def test_nothing_is_told_to_whoever_made_the_library():
    """OpenVINO reports each conversion to its maker, unasked; a hospital does not."""
    code = (
        "import sys; from inference import runtime;"
        "from tests.inference import tiny;"
        "runtime.compiled(tiny.network(), tiny.SPEC);"
        "from openvino.tools.ovc import telemetry_utils as used;"
        "print(used.tm.__name__, sys.modules['openvino_telemetry'])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "None"]
