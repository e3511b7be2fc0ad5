"""The lab and the product meet in files only, and what is deployed knows nothing of the lab."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LAB = sorted((REPOSITORY / "lab").rglob("*.py"))
DEPLOYED = [p for p in LAB if "stacks" in p.parts and {"app", "partner"} & set(p.parts)]


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_the_lab_does_not_know_the_product() -> None:
    assert len(LAB) > 20
    assert [str(p) for p in LAB if "perfaudit" in imported(p)] == []


def test_the_product_does_not_know_the_lab() -> None:
    product = sorted((REPOSITORY / "src").rglob("*.py"))
    assert len(product) > 100
    assert [str(p) for p in product if "lab" in imported(p)] == []


def test_what_is_deployed_does_not_know_the_lab() -> None:
    assert DEPLOYED
    assert [str(p) for p in DEPLOYED if "lab" in imported(p)] == []


@pytest.mark.parametrize("path", LAB, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_a_file_has_one_job(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)) or not text.strip()
