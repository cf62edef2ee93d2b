"""Several trained networks become one committee, calibrated and measured anew."""

from collections.abc import Sequence
from pathlib import Path

from inference import artifact
from inference.artifact import Spec
from inference.networks import Arch
from inference.networks.committee import seated
from search import card, data, provenance
from search.leaks import refuse_met
from search.parts import Parts, refuse_lacking
from search.run import Verdict, commit, finished, loaded, machine, prepared
from search.samples import prepare


def unite(
    name: str, members: Sequence[Path], images: Path, work: Path, out: Path
) -> Verdict:
    """Write the committee of the artifacts `members` to `out`.

    All were trained on the folder `images`, look at the same views and differ in
    their seeds. ValueError, in words, where they do not.
    """
    artifact.refuse_place(out, *members)
    specs = [artifact.load_spec(folder) for folder in members]
    cards = [artifact.load_card(folder) for folder in members]
    parts = Parts.of(data.examples(images))
    refuse_lacking(parts, some=("training", "test"), both=("validation",))
    facts = card.origin(name, images, parts)
    _refuse_strangers(members, specs, cards, facts["data"]["digest"])
    refuse_met(members, parts.test, images)
    recipe = specs[0].recipe
    options = {"members": len(members), **_kind(specs[0])}
    arch = Arch("committee", tuple(sorted(options.items())))
    networks = [artifact.load_network(folder) for folder in members]
    network = loaded(arch, seated([one.state_dict() for one in networks]))
    material, set_aside = prepared(parts, recipe, work)
    test, _ = prepare(parts.test, recipe, work)
    digests = [artifact.digest(folder) for folder in members]
    facts |= {
        "set_aside": dict(set_aside),
        "members": {d: c["plan"]["seed"] for d, c in zip(digests, cards, strict=True)},
        "histories": {
            d: c.get("history", []) for d, c in zip(digests, cards, strict=True)
        },
        "learnt_before": provenance.ancestry(cards),
        "salts": provenance.marks([facts, *cards]),
        # Alike in all of them but for the seed, which is told of each.
        "plan": cards[0]["plan"] | {"seeds": [c["plan"]["seed"] for c in cards]},
        "start": cards[0].get("start", ""),
        "commit": commit(),
        "machine": machine(),
        "seconds": sum(told.get("seconds", 0) for told in cards),
    }
    spec = Spec(name, arch, recipe, "alo", threshold=0.5)
    return finished(network, spec, parts, material, test, facts, out)


def _refuse_strangers(
    members: Sequence[Path],
    specs: Sequence[Spec],
    cards: Sequence[dict[str, object]],
    digest: str,
) -> None:
    seen = set()
    for folder, spec, told in zip(members, specs, cards, strict=True):
        try:
            seed, learnt = told["plan"]["seed"], told["data"]["digest"]
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{folder}: its card does not say how it was trained, and on what"
            ) from error
        if spec.arch.family != "squeezenet" or _kind(spec) != _kind(specs[0]):
            raise ValueError(
                f"{folder}: a committee is made of SqueezeNets of one kind"
            )
        if spec.recipe != specs[0].recipe:
            raise ValueError(f"{folder} looks at other views than {members[0]}")
        if learnt != digest:
            raise ValueError(f"{folder} was trained on other data than these")
        if seed in seen:
            raise ValueError(f"{folder}: seed {seed} has a seat already")
        seen.add(seed)


def _kind(spec: Spec) -> dict[str, object]:
    return {k: v for k, v in spec.arch.options if k in ("attention", "stride")}
