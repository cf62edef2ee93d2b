"""From what a department wrote about an image to whether it is ours to read.

Body parts are free text: several languages, cases, accents, broken encodings,
typing errors. Modality and part are judged here, pixels never. An image that says
nothing is read; one that names another part, and only another part, is not.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pydicom import Dataset
from rapidfuzz.distance import OSA

from inference.lexicon import DISTINCTIVE, ELSEWHERE, OTHERS, OURS, PLAIN

SCOPES: dict[str, frozenset[str]] = {
    "upper_limb": frozenset(OURS),
    "wrist": frozenset({"wrist"}),
}
TEXTS = (
    "BodyPartExamined",
    "SeriesDescription",
    "ProtocolName",
    "StudyDescription",
    "RequestedProcedureDescription",
    "PerformedProcedureStepDescription",
    "AcquisitionDeviceProcessingDescription",
)
CODES = ("AnatomicRegionSequence", "ProcedureCodeSequence")
NOT_PROJECTIONS = {
    "CT": "a CT slice",
    "MR": "an MR image",
    "US": "an ultrasound image",
    "PT": "a PET image",
    "NM": "a nuclear medicine image",
    "MG": "a mammogram",
    "BMD": "a bone densitometry",
    "IO": "a dental radiograph",
    "PX": "a dental panorama",
    "ES": "an endoscopy",
    "GM": "a microscopy",
    "SM": "a microscopy",
    "OP": "an eye photograph",
    "OPT": "an eye tomography",
    "OCT": "a tomography of a vessel",
    "IVUS": "an ultrasound image",
    "XC": "a photograph",
    "RTIMAGE": "a radiotherapy image",
    "ECG": "an electrocardiogram",
}
LONGEST = 400  # characters of a tag that are looked at
UNKNOWN_LETTER = "\ufffd"
LOST = re.compile(r"(?<=[^\W\d_])[?\ufffd¤¥§¢¶±](?=[^\W\d_])")
WORD = re.compile(rf"(?:[^\W\d_]|{UNKNOWN_LETTER})+")
UNSPACED = re.compile(r"[\u3005\u3040-\u30ff\u3400-\u9fff]")
LETTERS = {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ı": "i"}
AMBIGUOUS = "main"  # a French hand, an English adjective


@dataclass(frozen=True)
class Anatomy:
    """ours: whether to read it. part: what it shows, as far as anyone said.

    reason: a sentence where it is not ours, else "".
    """

    ours: bool
    part: str | None
    reason: str


def tags_of(ds: Dataset) -> dict[str, str]:
    """The tags of `ds` that `judge` can use; those that cannot be read are left out."""
    found = {"Modality": _text(ds, "Modality")}
    found |= {keyword: _text(ds, keyword) for keyword in TEXTS}
    for keyword in CODES:
        for number, item in enumerate(_items(ds, keyword)):
            found[f"{keyword}.{number}"] = _text(item, "CodeMeaning")
    return {keyword: text for keyword, text in found.items() if text}


def judge(tags: Mapping[str, str], scope: str = "upper_limb") -> Anatomy:
    """Decide by `tags` (keyword -> text) whether an image is within `scope`.

    Tags contradict each other: BodyPartExamined is wrong in one image of seven. One
    that names a part in scope is enough.
    """
    modality = tags.get("Modality", "").strip().upper()
    if modality in NOT_PROJECTIONS:
        kind = NOT_PROJECTIONS[modality]
        return Anatomy(False, None, f"This is {kind}, not a radiograph.")
    texts = [text for keyword, text in tags.items() if _informative(keyword)]
    named = [(part, text) for text in texts for part in parts(text)]
    for part, _ in named:
        if part in SCOPES[scope]:
            return Anatomy(True, part, "")
    if not named:
        return Anatomy(True, None, "")
    part, text = named[0]
    quoted = " ".join(text.split())[:60]
    return Anatomy(False, part, f"“{quoted}” names the {part}, which is not read here.")


def _informative(keyword: str) -> bool:
    return keyword.split(".")[0] in (*TEXTS, *CODES)


@lru_cache(maxsize=4096)
def parts(text: str) -> tuple[str, ...]:
    """The parts of the body that `text` names, in its order."""
    tokens = _tokens(text[:LONGEST])
    found = list(_named(tokens))
    if AMBIGUOUS in tokens and all(_familiar(token) for token in tokens):
        found.append("hand")
    return tuple(dict.fromkeys(found))


def fold(text: str) -> str:
    """Lower case without accents; a letter lost on the way becomes UNKNOWN_LETTER."""
    text = "".join(LETTERS.get(letter, letter) for letter in text.casefold())
    bare = unicodedata.normalize("NFKD", text)
    bare = "".join(letter for letter in bare if not unicodedata.combining(letter))
    return LOST.sub(UNKNOWN_LETTER, unicodedata.normalize("NFKC", bare))


def _text(ds: Dataset, keyword: str) -> str:
    try:
        value = ds.get(keyword)
        return "" if value is None else str(value).strip("\0 ")[:LONGEST]
    except Exception:
        # A damaged value makes pydicom raise anything; it then says nothing.
        return ""


def _items(ds: Dataset, keyword: str) -> list[Dataset]:
    try:
        return list(ds.get(keyword) or [])[:4]
    except Exception:
        # As above: a damaged sequence has no items.
        return []


def _tokens(text: str) -> list[str]:
    apart = re.sub(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])", " ", _repaired(text))
    return [
        token
        for word in WORD.findall(fold(apart))
        for token in (_segments(word) if UNSPACED.search(word) else [word])
    ]


def _repaired(text: str) -> str:
    """`text` with UTF-8 that was taken for Latin-1 put right: MuÃ±eca, muñeca."""
    for encoding in ("latin-1", "cp1252"):
        try:
            return text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return text


def _segments(run: str) -> Iterator[str]:
    """The known words in a run of Chinese or Japanese, longest first."""
    while run:
        word = next((word for word in UNSPACED_WORDS if run.startswith(word)), run[0])
        yield word
        run = run[len(word) :]


def _named(tokens: list[str]) -> Iterator[str]:
    """Parts that the tokens name, two or three of them written as one tried first."""
    while tokens:
        for count in (3, 2, 1):
            known, part = _look_up(tokens[:count])
            if known:
                break
        else:
            part = _resembling(tokens[0])
        if part:
            yield part
        tokens = tokens[count:]


def _look_up(tokens: list[str]) -> tuple[bool, str | None]:
    """Whether the lexicon has `tokens` written as one, and the part they name."""
    word = "".join(tokens)
    if word in WORDS:
        return True, WORDS[word]
    before_last = len(word) - len(tokens[-1])
    for stem, part in STEMS.items():
        if len(stem) > before_last and word.startswith(stem):
            return True, part
    return False, None


def _familiar(token: str) -> bool:
    return token == AMBIGUOUS or token in FAMILIAR or _look_up([token])[1] is not None


def _resembling(token: str) -> str | None:
    """The part whose name `token` is with one letter wrong, two in a long one."""
    if token in FAMILIAR:
        return None
    if UNKNOWN_LETTER in token:
        pattern = re.compile(token.replace(UNKNOWN_LETTER, "."))
        for word, part in WORDS.items():
            if part and pattern.fullmatch(word):
                return part
    best = min(
        (
            (OSA.distance(token, word), part)
            for word, part in DISTINCT
            if abs(len(word) - len(token)) <= 2
        ),
        key=lambda found: found[0],
        default=(9, None),
    )
    return best[1] if best[0] <= (1 if len(token) < 9 else 2) else None


def _entries() -> Iterator[tuple[str, str | None]]:
    for part, words in {**OURS, **OTHERS}.items():
        yield from ((fold(word), part) for word in words.split())
    yield from ((fold(word), None) for word in ELSEWHERE.split())


ENTRIES = list(_entries())
WORDS = {word: part for word, part in ENTRIES if not word.endswith("*")}
STEMS = {
    word[:-1]: part
    for word, part in sorted(ENTRIES, key=lambda entry: -len(entry[0]))
    if word.endswith("*")
}
FAMILIAR = frozenset(PLAIN.split())
DISTINCT = [
    (word, part)
    for word, part in (WORDS | STEMS).items()
    if part and (len(word) >= 7 or word in DISTINCTIVE.split())
]
UNSPACED_WORDS = sorted(
    (word for word in WORDS | STEMS if UNSPACED.match(word)), key=len, reverse=True
)
