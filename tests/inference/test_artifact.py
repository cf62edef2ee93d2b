import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from inference import artifact
from inference.artifact import DamagedArtifact, Spec
from inference.doubt import Familiar, Limits
from inference.networks import Arch, build
from inference.preprocess import Recipe

SPEC = Spec(
    name="tiny",
    arch=Arch("rx", (("hidden", (8,)), ("widths", (2, 3)))),
    recipe=Recipe(),
    aggregation="majority",
    threshold=0.37,
    temperature=1.5,
)
CARD = {"purpose": "tests", "auroc": 0.5}


@pytest.fixture
def network():
    torch.manual_seed(7)
    return build(SPEC.arch).eval()


@pytest.fixture
def folder(tmp_path, network):
    artifact.save(tmp_path / "tiny", SPEC, network.state_dict(), CARD)
    return tmp_path / "tiny"


def load_all(folder, digest=None):
    artifact.load_spec(folder, digest)
    artifact.load_card(folder, digest)
    artifact.load_familiar(folder, digest)
    return artifact.load_network(folder, digest)


def test_what_was_saved_comes_back(folder, network):
    assert artifact.load_spec(folder) == SPEC
    assert artifact.load_card(folder) == CARD
    loaded = artifact.load_network(folder)
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value.half().float()), name


def test_what_the_model_is_used_to_is_kept_beside_its_weights(tmp_path, network):
    known = Familiar(np.arange(3.0), np.eye(3) / 4)
    spec = replace(SPEC, limits=Limits(unlike=1.5))
    digest = artifact.save(tmp_path / "x", spec, network.state_dict(), CARD, known)
    assert artifact.load_spec(tmp_path / "x", digest).limits.unlike == 1.5
    found = artifact.load_familiar(tmp_path / "x", digest)
    assert found.distance(np.ones((1, 3))) == known.distance(np.ones((1, 3)))
    artifact.load_network(tmp_path / "x", digest)


def test_a_loaded_network_answers_as_the_saved_one(folder, network):
    image = torch.rand(2, 1, 64, 48, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        artifact.load_network(folder)(image), network(image), atol=5e-3, rtol=5e-3
    )


def test_a_network_is_loaded_in_single_precision_and_set_to_read(folder):
    network = artifact.load_network(folder)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert not any(m.training for m in network.modules())
    assert not any(p.is_meta for p in network.state_dict().values())


def test_loading_draws_no_random_numbers(folder):
    before = torch.random.get_rng_state()
    artifact.load_network(folder)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_weights_lie_on_disk_in_half_precision(folder):
    stored = load_file(folder / "weights.safetensors")
    assert {t.dtype for t in stored.values()} == {torch.float16}


def test_weights_too_large_for_half_precision_are_kept_whole(tmp_path, network):
    state = network.state_dict()
    name = next(iter(state))
    state[name] = torch.full_like(state[name], 1e6)
    artifact.save(tmp_path / "large", SPEC, state, CARD)
    loaded = artifact.load_network(tmp_path / "large").state_dict()
    assert torch.equal(loaded[name], state[name])


def test_weights_in_another_memory_layout_are_saved_as_they_are_meant(
    tmp_path, network
):
    plain = artifact.save(tmp_path / "a", SPEC, network.state_dict(), CARD)
    turned = network.to(memory_format=torch.channels_last).state_dict()
    assert artifact.save(tmp_path / "b", SPEC, turned, CARD) == plain


def test_the_digest_is_what_its_docstring_says(folder):
    told = hashlib.sha256()
    for name in ("spec.json", "weights.safetensors", "card.json"):
        data = (folder / name).read_bytes()
        told.update(name.encode() + b"\0" + str(len(data)).encode() + b"\0" + data)
    assert artifact.digest(folder) == told.hexdigest()


def test_saving_gives_the_digest_and_the_same_one_again(tmp_path, network, folder):
    again = artifact.save(tmp_path / "twin", SPEC, network.state_dict(), CARD)
    assert again == artifact.digest(folder) == artifact.digest(tmp_path / "twin")


def test_saving_again_replaces_the_whole_and_leaves_nothing_beside(folder, network):
    spec = replace(SPEC, threshold=0.9)
    digest = artifact.save(folder, spec, network.state_dict(), CARD)
    assert artifact.load_spec(folder, digest) == spec
    assert [p.name for p in folder.parent.iterdir()] == ["tiny"]
    assert sorted(p.name for p in folder.iterdir()) == sorted(artifact.FILES)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_saved_and_harms_nothing(folder, network, bad):
    before = artifact.digest(folder)
    state = network.state_dict()
    state["features.0.0.bias"] = torch.full((2,), bad)
    with pytest.raises(ValueError, match=r"features\.0\.0\.bias"):
        artifact.save(folder, SPEC, state, CARD)
    with pytest.raises(ValueError, match="JSON"):
        artifact.save(folder, SPEC, network.state_dict(), {"auroc": bad})
    assert artifact.digest(folder) == before


@pytest.mark.parametrize("name", artifact.FILES)
@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_one_changed_byte_is_refused(folder, name, place):
    digest = artifact.digest(folder)
    data = bytearray((folder / name).read_bytes())
    data[int(place * len(data)) if place > 0 else place] ^= 1
    (folder / name).write_bytes(data)
    for load in (artifact.load_spec, artifact.load_card, artifact.load_network):
        with pytest.raises(DamagedArtifact, match="byte differs"):
            load(folder, digest)


@pytest.mark.parametrize("name", artifact.FILES)
def test_a_missing_file_is_named(folder, name):
    digest = artifact.digest(folder)
    (folder / name).unlink()
    with pytest.raises(DamagedArtifact, match=name):
        artifact.load_spec(folder, digest)
    with pytest.raises(DamagedArtifact, match=name):
        artifact.digest(folder)


def test_a_missing_folder_is_damage_too(tmp_path):
    with pytest.raises(DamagedArtifact, match="No such file"):
        load_all(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("recipe", "sharpen"), True, "unknown key 'sharpen' in the recipe"),
        (("recipe", "width"), None, "missing key 'width' in the recipe"),
        (("recipe", "width"), "341", "recipe.width"),
        (("recipe", "split"), 1, "recipe.split"),
        (("recipe", "polarity"), "x", "unknown polarity rule 'x'"),
        (("recipe", "splitter"), "x", "unknown splitter rule 'x'"),
        (("recipe", "upright"), "x", "unknown upright rule 'x'"),
        (("recipe", "width"), 0, r"width 0 is not in \[1, 4096\]"),
        (("recipe", "height"), 10**9, "height 1000000000 is not in"),
        (("recipe", "std"), 0.0, "std 0.0 is not above 0"),
        (("arch", "family"), "vgg", "unknown network 'vgg'"),
        (("arch", "options"), [1], "options"),
        (("arch", "options"), {"depth": 3}, "depth"),
        (("arch", "options"), {"widths": 3}, "no rx can be built"),
        (("arch",), "rx", "arch"),
        (("aggregation",), "oracle", "unknown aggregation 'oracle'"),
        (("threshold",), 1.5, "threshold"),
        (("threshold",), float("nan"), "threshold"),
        (("threshold",), True, "threshold"),
        (("temperature",), 0, "temperature"),
        (("confident",), None, "missing key 'confident' in the spec"),
        (("confident",), 0.36, "confident 0.36 is not in"),
        (("confident",), 1.1, "confident 1.1 is not in"),
        (("limits",), None, "missing key 'limits' in the spec"),
        (("limits",), 3, "the limits is no JSON object"),
        (("limits", "unlike"), None, "missing key 'unlike' in the limits"),
        (("limits", "unlike"), -0.1, "limits.unlike is below 0"),
        (("limits", "unlike"), 2.0, "does not say what the training looked like"),
        (("limits", "uncertain_from"), 0.5, "uncertain_from is above"),
        (("limits", "grain"), 0.1, "unknown key 'grain' in the limits"),
        (("name",), 3, "name"),
        (("version",), 2, "unknown key 'version' in the spec"),
        (("composite",), "oracle", "unknown LRP composite 'oracle'"),
        (("composite",), None, "missing key 'composite' in the spec"),
    ],
)
def test_a_spec_that_says_something_else_is_refused_by_name(folder, path, value, named):
    spec = json.loads((folder / "spec.json").read_text())
    inner = spec if len(path) == 1 else spec[path[0]]
    inner[path[-1]] = value
    if value is None:
        del inner[path[-1]]
    (folder / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(DamagedArtifact, match=named):
        load_all(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", "[" * 100_000])
def test_what_is_no_json_object_is_refused(folder, text):
    (folder / "spec.json").write_text(text)
    with pytest.raises(DamagedArtifact, match=r"spec\.json"):
        artifact.load_spec(folder)


@pytest.mark.parametrize("change", ["missing", "more", "shape", "nan"])
def test_weights_that_do_not_fit_are_named(folder, change):
    state = load_file(folder / "weights.safetensors")
    name = "head.2.0.weight"
    if change == "missing":
        del state[name]
    elif change == "more":
        name = "head.9.weight"
        state[name] = torch.zeros(1)
    elif change == "shape":
        state[name] = state[name].T.contiguous()
    else:
        state[name][0, 0] = float("nan")
    save_file(state, folder / "weights.safetensors")
    with pytest.raises(DamagedArtifact, match=name):
        artifact.load_network(folder)


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"\x80\x04K\x01."])
def test_weights_that_are_no_safetensors_are_refused(folder, data):
    (folder / "weights.safetensors").write_bytes(data)
    with pytest.raises(
        DamagedArtifact, match=r"weights\.safetensors: the file is damaged"
    ):
        artifact.load_network(folder)


def test_digests_and_cards_are_read_without_torch(folder):
    code = (
        "import sys; from pathlib import Path; from inference import artifact;"
        f"f = Path({str(folder)!r}); artifact.load_card(f, artifact.digest(f));"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("place", ["diary", "diary/scan.dcm", "diary/scan.dcm/model"])
def test_nothing_but_an_older_model_is_ever_replaced(tmp_path, network, place):
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "scan.dcm").write_text("precious")
    with pytest.raises(ValueError, match=r"no model, and is kept|is a file"):
        artifact.save(tmp_path / place, SPEC, network.state_dict(), CARD)
    assert (tmp_path / "diary" / "scan.dcm").read_text() == "precious"


def test_a_model_beside_which_somebody_kept_something_is_not_replaced(folder, network):
    before = artifact.digest(folder)
    (folder / "notes.txt").write_text("precious")
    with pytest.raises(ValueError, match="is kept"):
        artifact.save(folder, replace(SPEC, threshold=0.9), network.state_dict(), CARD)
    assert artifact.digest(folder) == before and (folder / "notes.txt").exists()


def test_what_a_model_is_made_of_is_not_replaced_by_it(folder, tmp_path):
    with pytest.raises(ValueError, match="what the model is made of"):
        artifact.refuse_place(folder / ".", None, folder)
    artifact.refuse_place(folder, None, tmp_path / "other")
    (tmp_path / "empty").mkdir()
    artifact.refuse_place(tmp_path / "empty")
