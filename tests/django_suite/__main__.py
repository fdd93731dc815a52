"""Django's own tests of the admin, as they are and with lock-aware ModelAdmins.

What fails only with lock-aware ModelAdmins must be in ``expected.toml``, with the reason.
Run it with ``tox run -e django-suite``. Names of test labels limit it to those.
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import django
import tomllib

HERE = Path(__file__).resolve().parent
SUITES = [
    "admin_autodiscover",
    "admin_changelist",
    "admin_checks",
    "admin_custom_urls",
    "admin_default_site",
    "admin_docs",
    "admin_filters",
    "admin_inlines",
    "admin_ordering",
    "admin_registration",
    "admin_utils",
    "admin_views",
    "admin_widgets",
    "auth_tests",
    "generic_inline_admin",
    "modeladmin",
]
# They know no admin, and take half of the time of all.
LEFT_OUT = {"auth_tests.test_hashers"}


def main(labels):
    tests = tests_of_django(Path.cwd())
    selected = labels or modules(tests)
    as_they_are = run(tests, "AsTheyAre", selected)
    lock_aware = run(tests, "LockAware", selected)
    further = {
        test: traceback
        for test, traceback in lock_aware["failed"].items()
        if test not in as_they_are["failed"]
    }
    expected = expected_failures()
    unexpected = [test for test in further if test not in expected]
    passed = [] if labels else [test for test in expected if test not in further]
    for test in unexpected:
        print(f"\nFAILED, and is not in expected.toml: {test}\n{further[test]}")
    for test in passed:
        print(f"\nPASSED, but is in expected.toml: {test}")
    print(
        f"\nDjango {django.__version__}: {lock_aware['run']} tests,"
        f" {len(as_they_are['failed'])} fail as they are, {len(further)} more with"
        f" lock-aware ModelAdmins, {len(unexpected)} of these are not expected."
    )
    return 1 if unexpected or passed else 0


def tests_of_django(folder):
    """Return the folder of the tests of the Django that is installed."""
    name = f"django-{django.__version__}"
    archive = folder / f"{name}.tar.gz"
    if not archive.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--no-binary", ":all:", f"django=={django.__version__}"]
        subprocess.run(command, cwd=folder, check=True)
    if not (folder / name).exists():
        with tarfile.open(archive) as sources:
            sources.extractall(folder, filter="data")
    return folder / name / "tests"


def modules(tests):
    """Return the names of all modules with tests in ``SUITES``."""
    found = (
        ".".join(path.relative_to(tests).with_suffix("").parts)
        for suite in SUITES
        for path in sorted((tests / suite).glob("test*.py"))
    )
    return [name for name in found if name not in LEFT_OUT]


def run(tests, runner, labels):
    """Run Django's tests, and return how many have run and what has failed."""
    results = Path.cwd() / f"{runner}.json"
    results.unlink(missing_ok=True)
    environment = os.environ | {
        "PYTHONPATH": str(HERE),
        "DJANGO_SUITE_RUNNER": f"runners.{runner}",
        "DJANGO_SUITE_RESULTS": str(results),
    }
    command = [sys.executable, "runtests.py", "--settings=suite_settings", *labels]
    log = results.with_suffix(".log")
    with log.open("w") as output:
        subprocess.run(
            command,
            cwd=tests,
            env=environment,
            stdout=output,
            stderr=output,
            check=False,
        )
    if not results.exists():
        sys.exit(f"Django's tests did not run:\n{log.read_text()}")
    return json.loads(results.read_text())


def expected_failures():
    """Return the tests that are expected to fail, each with the reason."""
    groups = tomllib.loads((HERE / "expected.toml").read_text())["expected"]
    return {test: group["reason"] for group in groups for test in group["tests"]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
