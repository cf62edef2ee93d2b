"""Who arrives where a network learns: told by the pictures themselves."""

from inference import picture, preprocess
from search import shrinking, train
from search.data import examples
from search.parts import Parts


def views(found, recipe):
    """What each of these is to a network, without whatever prepares or keeps it."""
    return {
        view.pixels.tobytes()
        for e in found
        for view in preprocess.views(picture.frame(e.image).pixels, recipe)
    }


def watched(monkeypatch):
    """-> what was learnt from and what epochs were chosen by, noted as it happens."""
    learnt, chosen = set(), set()

    def note(of, name, place, seen):
        before = getattr(of, name)

        def noted(*given):
            seen.update(pixels.tobytes() for pixels in given[place].pixels)
            return before(*given)

        monkeypatch.setattr(of, name, noted)

    note(train, "_epoch", 4, learnt)
    note(train, "_scores", 0, chosen)
    note(shrinking, "_epoch", 4, learnt)
    return learnt, chosen


def check(images, recipe, learnt, chosen):
    """Every training picture was learnt from, every validation picture chosen by, and
    none of another side."""
    parts = Parts.of(examples(images))
    sides = {side: views(found, recipe) for side, found in vars(parts).items()}
    assert all(len(seen) > 1 for seen in sides.values())
    assert not sides["training"] & (sides["validation"] | sides["test"])
    assert learnt == sides["training"]
    assert chosen == sides["validation"]
