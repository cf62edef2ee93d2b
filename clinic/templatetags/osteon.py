"""How pages write names, figures and the way to the bundle."""

import json
from functools import lru_cache
from pathlib import Path

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from clinic import cards, standings

register = template.Library()
register.filter("span", standings.span)
register.filter("compared", cards.compared)
INTERVAL = {"low", "value", "high"}
MAKING = {"plan", "parts", "data"}
ENTRY = "src/main.ts"
NOT_BUILT = (
    "The front end of Osteon is not built, so this page cannot work. Remedy: start "
    "Osteon with ./run, or run “npm ci && npm run build” in frontend/."
)


@lru_cache(maxsize=4)
def _manifest(path: Path, modified: float) -> dict:
    return json.loads(path.read_text())


@register.simple_tag
def bundle() -> SafeString:
    """The tags that load script and style, or the sentence that they are missing."""
    path = settings.BASE_DIR / "frontend" / "dist" / ".vite" / "manifest.json"
    try:
        entry = _manifest(path, path.stat().st_mtime)[ENTRY]
    except FileNotFoundError:
        return format_html('<p class="trouble" role="alert">{}</p>', NOT_BUILT)
    styles = [(static(name),) for name in entry.get("css", [])]
    return format_html(
        '{}<script type="module" src="{}"></script>',
        format_html_join("", '<link rel="stylesheet" href="{}">', styles),
        static(entry["file"]),
    )


@register.filter
def person(name: str) -> str:
    """A DICOM person name as people write it: "Doe^Jane^M^Dr" -> "Doe, Jane M"."""
    written = next((part for part in (name or "").split("=") if part.strip("^ ")), "")
    family, *given = [part.strip() for part in written.split("^")[:3]]
    return ", ".join(filter(None, [family, " ".join(filter(None, given))]))


@register.filter
def percent(probability: float | None) -> str:
    """[0, 1] as whole per cent; what is neither 0 nor 1 is not rounded to it."""
    if probability is None:
        return "–"
    if 0 < probability < 0.005:
        return "< 1 %"
    if 0.995 <= probability < 1:
        return "> 99 %"
    return f"{probability * 100:.0f} %"


@register.simple_tag
def told_apart(*probabilities: float | None) -> list[str]:
    """Each as `percent`, or with as many decimals as show which of them are equal."""
    known = {p for p in probabilities if p is not None}
    told = [percent(p) for p in probabilities]
    for digits in range(1, 4):
        if len({told[probabilities.index(p)] for p in known}) == len(known):
            break
        told = ["–" if p is None else f"{p:.{digits}%}" for p in probabilities]
    return [text.replace("%", " %").replace("  ", " ") for text in told]


@register.filter
def hundredths(probability: float) -> str:
    """[0, 1] as a length on a gauge of 100, with a point in every language."""
    return f"{probability * 100:.1f}"


@register.filter
def words(name: str) -> str:
    """A name of code as people read it: "not_ours" -> "not ours"."""
    return name.replace("_", " ")


@register.filter
def figures(card: dict) -> list[tuple[str, list[tuple[str, str]]]]:
    """The numbers of a card as (heading, [(name, value)]), branch by branch.

    Words and lists are left out, and so is how the model was made.
    """
    told = {key: value for key, value in card.items() if key not in MAKING}
    branches = {k: v for k, v in told.items() if isinstance(v, dict)}
    plain = {k: v for k, v in told.items() if not isinstance(v, dict)}
    found = [(words(k), _numbers(v)) for k, v in branches.items()]
    return [(k, rows) for k, rows in [*found, ("other", _numbers(plain))] if rows]


@register.filter
def short(value: float | None) -> str:
    """A figure to three digits."""
    return "–" if value is None else _short(value)


@register.filter
def last_name(path: str) -> str:
    """Of a file or folder."""
    return Path(path).name


@register.filter
def millions(value: float) -> str:
    """To three digits: 595.2 million are "595", 1.94 million "1.94"."""
    found = value / 1e6
    return f"{found:.0f}" if found >= 100 else f"{found:.3g}"


@register.filter
def signed(value: float) -> str:
    """A difference: +0.012, −0.003."""
    return f"{value:+.3f}".replace("-", "−")


def _numbers(branch: dict, above: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in branch.items():
        name = f"{above}{words(str(key))}"
        if isinstance(value, dict) and value.keys() >= INTERVAL:
            low, middle, high = (_short(value[k]) for k in ("low", "value", "high"))
            rows.append((name, f"{middle} ({low} – {high})"))
        elif isinstance(value, dict):
            rows += _numbers(value, f"{name}: ")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            rows.append((name, _short(value)))
    return rows


def _short(value: float | None) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
