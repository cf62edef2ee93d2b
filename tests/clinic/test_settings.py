"""What can be configured is written down."""

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
SOURCE = (ROOT / "clinic" / "settings.py").read_text()


def variables():
    """Every name that settings.py takes from the environment."""
    found = set()
    for node in ast.walk(ast.parse(SOURCE)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        asked = ast.unparse(node.func)
        name = node.args[0]
        if asked in ("os.environ.get", "_listed") and isinstance(name, ast.Constant):
            found.add(name.value)
    return sorted(found | {"DATABASE_URL"})  # what dj_database_url asks for


def test_the_search_for_variables_finds_them():
    assert {"OSTEON_DATA", "OSTEON_HOSTS", "BROKER_URL"} <= set(variables())
    assert SOURCE.count("os.environ") == SOURCE.count("os.environ.get(")


@pytest.mark.parametrize("name", variables())
def test_every_variable_stands_in_the_table_of_the_readme(name):
    rows = re.findall(r"^\|.*\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert any(f"`{name}`" in row for row in rows)


def test_the_table_names_no_variable_that_is_gone():
    cells = re.findall(r"^\|([^|]+)\|", (ROOT / "README.md").read_text(), re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`([A-Z][A-Z_]+)`", cell)}
    assert len(named) > 20
    elsewhere = "".join(
        path.read_text()
        for folder in ("docker", "clinic/management")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".yml", ".sh"}
    )
    assert [n for n in named if n not in variables() and n not in elsewhere] == []
