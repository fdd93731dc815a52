"""The people, and a site for the ModelAdmins of one file."""

import pytest

from tests.support.admin_site import new_site, person, urls_of_site


@pytest.fixture
def alice(db):
    return person("alice")


@pytest.fixture
def bob(db):
    return person("bob")


@pytest.fixture
def serve(settings):
    """Serve a ModelAdmin of the models."""

    def serve(model_admin, *models):
        site = new_site()
        site.register(models, model_admin)
        settings.ROOT_URLCONF = urls_of_site(site)

    return serve
