"""The people who use the admin, and a story that they edit."""

import pytest

from tests.models import Story
from tests.support.admin_site import new_site, person, urls_of_site


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
    """Serve a model admin of the models, of stories by default. It is a decorator too."""

    def serve(model_admin, *models):
        site = new_site()
        site.register(models or [Story], model_admin)
        settings.ROOT_URLCONF = urls_of_site(site)
        return model_admin

    return serve
