"""The people who use the admin, and a story that they edit."""

import copy

import pytest
from django.db import connection, connections

from tests.models import Story
from tests.support.admin_site import StoryAdmin, new_site, person, urls_of_site
from tests.support.helpers import keep_seeing_old_rows


@pytest.fixture(autouse=True)
def served(db, settings):
    settings.ROOT_URLCONF = "tests.support.admin_site"


@pytest.fixture
def alice():
    return person("alice")


@pytest.fixture
def bob():
    return person("bob")


@pytest.fixture
def story():
    return Story.objects.create(headline="As it was", body="Once")


@pytest.fixture
def page(alice, story):
    """The story's page, as Alice has opened it."""
    return alice.open(story)


@pytest.fixture
def serve(settings):
    """Serve a model admin of the models, of stories by default. It is a decorator too.

    What is named is an attribute of a class of its own.
    """

    def serve(model_admin, *models, **attributes):
        if attributes:
            model_admin = type("Admin", (model_admin,), attributes)
        site = new_site()
        site.register(models or [Story], model_admin)
        settings.ROOT_URLCONF = urls_of_site(site)
        return model_admin

    return serve


@pytest.fixture
def serve_action(serve):
    """Serve stories with an action of the test's own. It is a decorator too."""

    def serve_action(action, **attributes):
        serve(StoryAdmin, actions=[action], **attributes)
        return action

    return serve_action


@pytest.fixture
def stories():
    """Three stories: Alice will edit the first, nobody the second, Bob the third."""
    return [
        Story.objects.create(headline=name, body="Once")
        for name in ("first", "second", "third")
    ]


@pytest.fixture
def edited(alice, bob, stories):
    """The pages that Alice and Bob have open."""
    first, _second, third = stories
    return alice.open(first), bob.open(third)


@pytest.fixture
def snapshots(monkeypatch):
    """Have each request in one transaction, on MySQL with what it saw first."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    keep_seeing_old_rows()
    yield
    connection.close()


@pytest.fixture
def templates(settings):
    """Serve templates of the project's own."""

    def templates(**sources):
        engines = copy.deepcopy(settings.TEMPLATES)
        del engines[0]["APP_DIRS"]
        engines[0]["OPTIONS"]["loaders"] = [
            ("django.template.loaders.locmem.Loader", sources),
            "django.template.loaders.app_directories.Loader",
        ]
        settings.TEMPLATES = engines

    return templates
