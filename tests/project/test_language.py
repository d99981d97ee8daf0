"""The package speaks the field's words: words that a reader would have to learn here are banned."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = {".py", ".md", ".toml", ".html", ".jinja", ".txt", ".css"}
PLACES = [ROOT / "README.md", ROOT / "CHANGELOG.md"]
for folder in ("mtl_seq", "docs", "benchmarks"):
    PLACES += sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in TEXT)

# Whole words and their inflections; names_with_underscores count as words of their own.
BANNED = {
    "world": r"worlds?",
    "knob": r"knobs?",
    "tally": r"tall(?:y|ies|ied|ying)",
    "doubts": r"doubts?",
    "anew": r"anew",
    "mend": r"mend(?:s|ed|ing)?",
    "hand in": r"hand(?:s|ed|ing)?\s+(?:\S+\s+){0,3}?in",
    "parted": r"part(?:ed|ing)",
    "lane": r"lanes?",
    "lend": r"lend(?:s|ing)?|lent",
    "tires": r"tire[sd]?|tiring",
    "foretell": r"foret(?:ell|ells|elling|old)",
    "told apart": r"(?:told|tell|tells|telling)\s+(?:\S+\s+)?apart",
    "of one's own": r"one['\u2019]s\s+own",
    "go on with": r"(?:go|goes|going|went|gone)\s+on\s+with",
}
# Torch's name for the number of processes.
ALLOWED = re.compile(r"(?:get_)?(?:local_)?world_size", re.IGNORECASE)
PATTERNS = {
    word: re.compile(rf"(?<![A-Za-z])(?:{forms})(?![A-Za-z])", re.IGNORECASE)
    for word, forms in BANNED.items()
}


def banned_words(text: str) -> list[str]:
    """The banned words of a text, each with its line."""
    text = ALLOWED.sub("", text)
    return [
        f"{text[: match.start()].count(chr(10)) + 1}: {match[0]!r} ({word})"
        for word, pattern in PATTERNS.items()
        for match in pattern.finditer(text)
    ]


@pytest.mark.parametrize("path", PLACES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_banned_word(path):
    assert banned_words(path.read_text(encoding="utf-8")) == []


def test_the_places_are_there():
    assert len(PLACES) > 400


@pytest.mark.parametrize(
    "text",
    ["this world's", "turned_knobs", "Tallied", "hand your frame in", "one's\nown", "a lane"],
)
def test_the_check_sees_a_banned_word(text):
    assert len(banned_words(text)) == 1


@pytest.mark.parametrize(
    "text", ["WORLD_SIZE", "recommend", "departed", "handling it in", "planes", "entire", "blend"]
)
def test_the_check_leaves_other_words_alone(text):
    assert banned_words(text) == []
