"""The shape of the house, kept by a test instead of by memory."""

import ast
import importlib.util
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.urls import URLPattern, URLResolver, get_resolver

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("inference", "search", "clinic")
SOURCES = sorted(
    path
    for room in ROOMS
    for path in (ROOT / room).rglob("*.py")
    if "migrations" not in path.parts
)
MAY_IMPORT = {
    "inference": {"inference"},
    "search": {"search", "inference"},
    "clinic": {"clinic", "search", "inference"},
}
FRAMEWORK = {
    "django",
    "rest_framework",
    "celery",
    "redis",
    "orthanc_api_client",
    "pynetdicom",
}
BRIDGES = {
    f"clinic/{name}.py" for name in ("benchmarks", "candidates", "reading", "training")
}
# What clinic may take from the other rooms outside its bridges, each module by its
# own name: it loads no torch, what stands beside it in its package may.
WITHOUT_TORCH = {
    "inference",
    "inference.anatomy",
    "inference.artifact",
    "inference.blueprint",
    "inference.deflated",
    "inference.dicom",
    "inference.doubt",
    "inference.dx",
    "inference.overlay",
    "inference.phantom",
    "inference.picture",
    "inference.preprocess",
    "inference.reading",
    "inference.spelling",
    "inference.unreadable",
    "search.build",
    "search.data",
    "search.dataset",
    "search.deidentify",
    "search.demographics",
    "search.demographics_page",
    "search.drawn",
    "search.draws",
    "search.example",
    "search.excerpt",
    "search.gate",
    "search.hardware",
    "search.holdout",
    "search.latency_agent",
    "search.limits",
    "search.markdown",
    "search.once",
    "search.parts",
    "search.pieces",
    "search.spaces",
    "search.strategies",
    "search.supernet_header",
    "search.told",
}
HEAVY = {"torch", "sklearn"}
HOMES = {
    "botocore": ("clinic/store.py", "clinic/settings.py"),
    "captum": "inference/explain/",
    "dicomanonymizer": "search/deidentify.py",
    "matplotlib": "search/drawn.py",
    "monai": "search/baselines.py",
    "orthanc_api_client": "clinic/pacs/orthanc.py",
    "nevergrad": "search/strategies/libraries.py",
    "optuna": "search/strategies/libraries.py",
    "onnx": "search/pieces.py",
    "onnxruntime": "search/latency_agent.py",
    "openvino": (
        "inference/runtime.py",
        "inference/quantise.py",
        "search/latency_agent.py",
    ),
}
SAY_NOTHING = {"utils", "helpers", "common", "core", "misc", "base"} | {
    "services",
    "selectors",
    "managers",
}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> set[str]:
    """Every module that `path` imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name(path)}: relative import"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def loads_torch(imported: str) -> bool:
    """torch, or what another library keeps for it, like safetensors.torch."""
    return "torch" in imported.split(".")


def source_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def module_of(imported: str) -> str:
    """The module of ours that `imported` is, or is something of; else itself."""
    parts = imported.split(".")
    ours = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
    return next((m for m in ours if source_of(m).exists()), imported)


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, kinds)]


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_imports_point_one_way(path):
    room = path.relative_to(ROOT).parts[0]
    roots = {module.split(".")[0] for module in imports(path)}
    assert roots & MAY_IMPORT.keys() <= MAY_IMPORT[room]
    if room != "clinic":
        assert not roots & FRAMEWORK


@pytest.mark.parametrize(
    "path",
    [p for p in SOURCES if p.is_relative_to(ROOT / "clinic")],
    ids=name,
)
def test_only_the_bridges_reach_torch(path):
    if name(path) in BRIDGES:
        return
    wanted = {
        module_of(imported)
        for imported in imports(path)
        if imported.split(".")[0] in {"search", "inference"} or loads_torch(imported)
    }
    assert not wanted - WITHOUT_TORCH


def test_no_page_reaches_a_bridge_however_late():
    """Workers reach them through the bodies of tasks; nothing of the web may."""
    found, waiting = set(), {"clinic.urls", "clinic.wsgi"}
    while waiting:
        found |= waiting
        waiting = {
            module_of(imported)
            for module in waiting - {"clinic.tasks"}
            for imported in imports(source_of(module))
            if imported.split(".")[0] == "clinic"
        } - found
    assert {"clinic.views", "clinic.api", "clinic.intake"} <= found
    assert not {name(source_of(module)) for module in found} & BRIDGES


@pytest.mark.parametrize(
    "code",
    [
        "import django; django.setup(); import clinic.urls, clinic.wsgi, clinic.tasks",
        *(f"import {module}" for module in sorted(WITHOUT_TORCH)),
    ],
)
def test_the_web_process_never_loads_torch_nor_scikit_learn(code):
    """Slow to import and hundreds of MB per process: workers only."""
    code += "; import sys; sys.exit(not sys.modules.keys().isdisjoint(HEAVY))"
    subprocess.run(
        [sys.executable, "-c", code.replace("HEAVY", str(HEAVY))],
        check=True,
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "clinic.settings"},
    )


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_quirky_library_has_one_home(path):
    roots = {module.split(".")[0] for module in imports(path)}
    for library in roots & HOMES.keys():
        assert name(path).startswith(HOMES[library]), library


def test_torchvision_stays_out():
    """Only a CUDA build exists, and its presence breaks what stands beside it."""
    assert importlib.util.find_spec("torchvision") is None


@pytest.mark.parametrize("path", [*SOURCES, *(ROOT / "docker").glob("*.py")], ids=name)
def test_files_are_one_idea(path):
    assert path.read_text().count("\n") <= 300
    assert path.stem not in SAY_NOTHING


def test_functions_are_short():
    sizes = [f.end_lineno - f.body[0].lineno + 1 for p in SOURCES for f in functions(p)]
    assert statistics.median(sizes) <= 8
    long = [
        f"{name(p)}:{f.lineno} {f.name}"
        for p in SOURCES
        for f in functions(p)
        if f.end_lineno - f.lineno + 1 > 50
    ]
    assert not long


def test_tests_mirror_the_source():
    """tests/<room>/…/test_<x>.py is about <room>/…/<x>.py or the package <x>."""
    for room in ROOMS:
        for test in (ROOT / "tests" / room).rglob("test_*.py"):
            about = ROOT / test.relative_to(ROOT / "tests").with_name(
                test.stem.removeprefix("test_")
            )
            assert about.with_suffix(".py").exists() or about.is_dir(), name(test)


# --- Rule 12: closed by default ------------------------------------------------

ROLES = ("anonymous", "radiologist", "administrator", "nobody")
METHODS = ("get", "post", "put", "patch", "delete")


def patterns(resolver: URLResolver, prefix: str = ""):
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, path)
        else:
            yield path, entry


def example(path: str, entry: URLPattern) -> str:
    """The pattern with something plausible in every placeholder."""
    for key, converter in entry.pattern.converters.items():
        kind = type(converter).__name__.removesuffix("Converter").lower()
        value = "1" if kind == "int" else "lrp"
        for written in (f"<{kind}:{key}>", f"<{key}>"):
            path = path.replace(written, value)
    return "/" + path


ROUTES = [(example(path, entry), entry) for path, entry in patterns(get_resolver())]


@pytest.fixture
def client_of(client, db):
    def make(role):
        client.logout()
        if role != "anonymous":
            user = User.objects.create_user(role, password="x")
            if role != "nobody":
                user.groups.add(Group.objects.get_or_create(name=role)[0])
            client.force_login(user)
        client.raise_request_exception = False
        return client

    return make


@pytest.mark.parametrize(("url", "entry"), ROUTES, ids=[url for url, _ in ROUTES])
def test_every_view_names_its_roles(url, entry):
    assert getattr(entry.callback, "roles", None) is not None


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("url", "entry"), ROUTES, ids=[url for url, _ in ROUTES])
def test_who_may_do_what(url, entry, role, client_of):
    """Whoever is not named gets the login page or a refusal, whatever the method."""
    roles = entry.callback.roles
    client = client_of(role)
    for method in METHODS:
        answer = getattr(client, method)(url)
        to_login = answer.status_code == 302 and "login" in answer.url
        refused = answer.status_code in (401, 403) or to_login
        if "anyone" in roles or role in roles:
            assert not refused or "logout" in url, (method, answer.status_code)
            assert answer.status_code < 500, (method, answer.status_code)
        else:
            assert refused, (method, answer.status_code)
