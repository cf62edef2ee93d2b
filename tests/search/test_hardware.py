"""Times of pieces become a latency, or are refused."""

import json

import numpy as np
import pytest

from search import hardware
from search.hardware import Table, UnfitTable, every_piece, examples, fit, pieces
from search.spaces import SPACES

SPACE = SPACES["ofa-1.2"]
SIZE = (96, 64)


def of(architecture):
    return list(pieces(SPACE.blueprint(architecture), *SIZE))


@pytest.fixture
def measured():
    """A machine on which a whole network takes 0.8 of its pieces and 0.5 ms more."""
    rng = np.random.default_rng(0)
    times = {piece.key: float(rng.uniform(0.1, 1)) for piece in every_piece(*KNOWN)}
    networks = [
        {
            "architecture": SPACE.to_json(architecture),
            "ms": 0.8 * sum(times[piece.key] for piece in of(architecture)) + 0.5,
        }
        for architecture in examples("ofa-1.2", 16)
    ]
    machine = {"name": "pi"}
    return {
        "space": "ofa-1.2",
        "size": list(SIZE),
        "pieces": times,
        "networks": networks,
        "machine": machine,
    }


KNOWN = ("ofa-1.2", *SIZE)


@pytest.mark.parametrize("name", sorted(SPACES))
def test_a_table_knows_every_piece_of_every_architecture(name):
    space, rng = SPACES[name], np.random.default_rng(1)
    known = {piece.key for piece in every_piece(name, *SIZE)}
    assert len(known) == 1 + 1 + 5 * 2 * 9 + 1
    met = set()
    for _ in range(150):
        plan = space.blueprint(space.sample(rng))
        met |= {piece.key for piece in pieces(plan, *SIZE)}
    assert met == known


def test_pieces_cost_what_their_network_does():
    """Multiply-adds of the blocks, at the sizes at which they are timed."""
    plan = SPACE.blueprint(SPACE.start)
    blocks = [piece for piece in of(SPACE.start) if not isinstance(piece.what, str)]
    inside = sum(piece.what.madds(piece.height, piece.width) for piece in blocks)
    head = of(SPACE.start)[-1]
    ends = 9 * plan.first * (SIZE[0] // 2) * (SIZE[1] // 2)
    ends += plan.blocks[-1].after * plan.last * head.height * head.width
    ends += plan.mixed * (plan.last + 1)
    assert inside + ends == plan.madds(*SIZE)


def test_the_fit_finds_what_whole_networks_cost_beyond_their_pieces(measured):
    table = fit(measured)
    assert (table.slope, table.intercept) == pytest.approx((0.8, 0.5))
    assert table.error == pytest.approx(0, abs=1e-9)
    assert table.ranking == pytest.approx(1)
    whole = measured["networks"][3]
    architecture = SPACE.from_json(whole["architecture"])
    assert table.predict(architecture) == pytest.approx(whole["ms"])
    again = Table.from_json(json.loads(json.dumps(table.to_json())))
    assert again.predict(architecture) == table.predict(architecture)


def test_the_error_is_that_of_networks_that_were_not_fitted(measured):
    for network in measured["networks"][1::2]:
        network["ms"] *= 1.05
    table = fit(measured)
    assert table.slope == pytest.approx(0.8)
    assert table.error == pytest.approx(1 - 1 / 1.05)


def test_a_table_that_is_off_by_more_than_a_tenth_is_refused(measured):
    for network in measured["networks"][1::2]:
        network["ms"] *= 1.2
    said = fit(measured).to_json()
    with pytest.raises(UnfitTable, match="off by 17% on networks"):
        Table.from_json(said)
    with pytest.raises(UnfitTable):
        Table.from_json(said | {"error": float("nan")})
    assert Table.from_json(said | {"error": hardware.WORST})


DAMAGED = {
    "times": [{}, [1], None, {"stem": 1.0}],
    "slope": [None, "1", True, float("nan"), 1e300],
    "intercept": [float("inf"), []],
    "error": ["0.01", -1, float("nan"), None],
    "ranking": [None],
    "space": ["mars", None, ["ofa-1.2"], "ofa-1.0"],
    "height": [0, 64.5, "96", None],
    "machine": [None, [], {"noise": float("nan")}],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in DAMAGED for value in DAMAGED[name]]
)
def test_a_damaged_table_is_refused_in_words(measured, name, value):
    said = fit(measured).to_json()
    with pytest.raises(UnfitTable, match="This is no latency table: "):
        Table.from_json(said | {name: value})


@pytest.mark.parametrize("value", [0, -1.0, "1", None, True, float("nan")])
def test_a_time_that_is_none_is_refused_and_so_is_a_piece_less(measured, value):
    said = fit(measured).to_json()
    key = of(SPACE.start)[3].key
    with pytest.raises(UnfitTable, match="times are not all numbers above 0"):
        Table.from_json(said | {"times": said["times"] | {key: value}})
    rest = {known: ms for known, ms in said["times"].items() if known != key}
    with pytest.raises(UnfitTable, match=f"1 pieces were not measured: {key}"):
        Table.from_json(said | {"times": rest})


def test_what_is_no_table_or_lacks_something_is_refused_in_words(measured):
    with pytest.raises(UnfitTable, match="no latency table"):
        Table.from_json({"hello": 1})
    few = measured | {"networks": measured["networks"][:5]}
    with pytest.raises(UnfitTable, match="5 whole networks"):
        fit(few)
    measured["pieces"].pop(of(SPACE.start)[0].key)
    with pytest.raises(UnfitTable, match="1 pieces were not measured: stem"):
        fit(measured)


@pytest.mark.parametrize("written", [None, [1], "text", 3])
def test_what_is_no_object_was_not_written_by_an_agent(written):
    with pytest.raises(UnfitTable, match="not what an agent wrote: no object"):
        fit(written)


ODD = {
    "space": ["mars", None, ["ofa-1.2"]],
    "size": [None, 64, [64], [64, 48.5], [0, 0], {"height": 64}],
    "pieces": [None, [], {}, {"stem": 1}],
    "machine": [None, "pi"],
    "networks": [None, {}],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in ODD for value in ODD[name]]
)
def test_what_an_agent_would_not_write_is_refused_in_words(measured, name, value):
    with pytest.raises(UnfitTable, match="This is not what an agent wrote: "):
        fit(measured | {name: value})


@pytest.mark.parametrize(
    "network",
    [
        None,
        1,
        {},
        {"ms": "1"},
        {"ms": 0},
        {"ms": float("nan")},
        {"architecture": None},
        {"architecture": ["d"]},
        {"architecture": {"d": 1}},
        {"architecture": {"blocks": [1, 2], "name": "MobileNetV3"}},
        {"architecture": {"blocks": {}, "name": "MobileNetV3"}},
        {
            "architecture": {
                "name": "MobileNetV3",
                "first_conv": {"out_channels": 24},
                "blocks": [1, 2],
            }
        },
    ],
)
def test_a_whole_network_that_is_none_is_named(measured, network):
    first = measured["networks"][0]
    broken = network and isinstance(network, dict) and first | network
    measured["networks"][0] = broken or network
    with pytest.raises(UnfitTable, match="wrote: network 0"):
        fit(measured)


def test_whole_networks_reach_from_small_to_large():
    sizes = [SPACE.parameters(a) for a in examples("ofa-1.2", 12)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 1.5 * sizes[0]
