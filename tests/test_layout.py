"""The rooms of the house: which may import which. ``docs/contributing.rst`` draws them."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

import lock_tokens

PACKAGE = Path(lock_tokens.__file__).parent
GROUND = ["exceptions", "signals", "settings"]
LOCK = [*GROUND, "locking"]
MODELS = [*LOCK, "querysets", "managers", "models"]
PAGES = [*LOCK, "permissions", "holding", "sessions", "refusals"]
MAY_IMPORT = {
    **{name: [] for name in GROUND},
    "locking": GROUND,
    "querysets": LOCK,
    "managers": [*LOCK, "querysets"],
    "models": [*LOCK, "querysets", "managers"],
    "permissions": MODELS,
    "holding": MODELS,
    "sessions": MODELS,
    "refusals": MODELS,
    "checks": [*MODELS, "permissions"],
    "web": PAGES,
    "api": [*LOCK, "permissions"],
    "urls": ["api"],
    "decorators": [*PAGES, "web"],
    "generic": [*PAGES, "web"],
    "templatetags": [*PAGES, "web"],
    "management": MODELS,
    "migrations": MODELS,
    # Both look at querysets: the admin filters its lists by locks, and REST framework asks
    # whether a queryset is one of ours.
    "admin": [*PAGES, "querysets", "web"],
    "rest_framework": [
        *LOCK,
        *("querysets", "permissions", "holding", "refusals", "api"),
    ],
    "testing": [*MODELS, "refusals", "web"],
    "integrations": [*LOCK, "holding", "sessions"],
    "apps": ["checks", "sessions", "integrations", "rest_framework"],
}


def imports_of(path):
    """Return the modules of the package that a file imports, wherever it does so."""
    package = ["lock_tokens", *path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = {f"{module}.{alias.name}" for alias in node.names}
            found |= {name for name in names if is_module(name)} or {module}
    return {name for name in found if name.split(".")[0] == "lock_tokens"}


def is_module(name):
    path = PACKAGE.parent / Path(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


def modules():
    return {
        ".".join(
            ["lock_tokens", *path.relative_to(PACKAGE).with_suffix("").parts]
        ).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }


def room_of(name):
    return name.split(".")[1] if "." in name else ""


def test_rooms_import_only_what_the_design_allows():
    arrows = {
        f"{name} -> {imported}"
        for name, path in modules().items()
        for imported in imports_of(path)
        if room_of(imported) != room_of(name)
        and room_of(imported) not in MAY_IMPORT.get(room_of(name), [])
        and imported != "lock_tokens"
    }
    assert not arrows


def test_no_modules_import_each_other_in_a_circle():
    rest = {name: imports_of(path) - {name} for name, path in modules().items()}
    while free := {name for name, found in rest.items() if not found & rest.keys()}:
        rest = {name: found for name, found in rest.items() if name not in free}
    assert not rest


def test_the_two_halves_of_the_admin_do_not_know_each_other():
    for half, other in (("lockable", "lock_token"), ("lock_token", "lockable")):
        for path in (PACKAGE / "admin" / half).glob("*.py"):
            assert not any(
                name.startswith(f"lock_tokens.admin.{other}.")
                or name == f"lock_tokens.admin.{other}"
                for name in imports_of(path)
            ), path


def test_no_module_is_too_long_and_the_root_is_not_crowded():
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 500, path
    assert len([path for path in PACKAGE.iterdir() if path.is_file()]) <= 18


def test_no_test_imports_another():
    for path in Path(__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(alias.name for alias in node.names)]
                imported = {part for name in names for part in name.split(".")}
                if node.module.startswith("tests"):
                    assert not any(name.startswith("test_") for name in imported), path


@pytest.mark.parametrize(
    ("module", "names"),
    {
        "models": "LockToken LockableModel LockInfo LockKey default_expiry token_dict",
        "managers": "LockTokenManager LockableModelManager get_and_lock",
        "querysets": "LockableQuerySet live_lock",
        "sessions": "lock_for_session unlock_for_session check_for_session"
        " take_over_for_session infos_of_others get_session_key get_session_token"
        " release_session_locks",
        "decorators": "edits_object locks_object holds_lock_on_object"
        " requires_lock_on_object",
        "exceptions": "AlreadyLockedError InvalidToken UnlockForbiddenError"
        " RenewedSinceError NoLockWarning LockExpiredWarning LockTokensError",
        "holding": "fence fence_unlocked afence hold_lock ahold_lock HeldLock FencedLock"
        " reading_from_primary",
        "admin": "LockableModelAdmin LockableAdmin LockTokenAdmin LockStateFilter",
        "settings": "TIMEOUT DATEFORMAT API_CSRF_EXEMPT API_PERMISSION API_MODELS",
        "signals": "lock_acquired lock_replaced lock_taken_over lock_renewed"
        " lock_released",
        "permissions": "allow_any is_authenticated is_staff can_change",
        "refusals": "refuse submitted_fields",
        "urls": "urlpatterns app_name",
        "checks": "check_settings",
        "generic": "LockedObjectMixin LockedUpdateView",
        "integrations.import_export": "LockableResourceMixin LockedRow",
        "testing": "post_form lock_as take_over_as expire_lock",
        "templatetags.lock_tokens_tags": "lock_form lock_tokens_api_client"
        " admin_lock_handler",
    }.items(),
    ids=str,
)
def test_public_names_are_where_they_are_documented(module, names):
    found = import_module(f"lock_tokens.{module}")
    for name in names.split():
        assert hasattr(found, name)
