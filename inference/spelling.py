"""Text that anyone may have written, spelled in one way and fit to be shown."""

import unicodedata

# NUL, other control characters, lone surrogates, and marks that turn the reading
# direction of what stands beside them (U+202E makes "exe.gpj" of "jpg.exe").
_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_JOINERS = {"\u200c", "\u200d"}  # Cf, but part of how Persian and Indic words look


def line(value: object, length: int) -> str:
    """`value` as one printable line of at most `length` characters.

    What is in this form already stays as it is: patients are told apart by it.
    """
    found = "".join(map(_printable, str(value)[: 4 * length]))
    # After the invisible is gone: a soft hyphen may part a letter from its accent.
    found = unicodedata.normalize("NFC", found)
    return " ".join(found.split())[:length].strip()


def _printable(char: str) -> str:
    category = unicodedata.category(char)
    if char in _JOINERS or category not in _UNSAFE_CATEGORIES:
        return char
    return "" if category == "Cf" else " "
