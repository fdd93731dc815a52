"""django-parler: deleting a translation of an object."""

import pytest
from django.db import models

from lock_tokens.admin import LockableModelAdmin
from tests.packages import needs

needs("parler", "tests.packages")

from parler.admin import TranslatableAdmin  # noqa: E402
from parler.models import TranslatableModel, TranslatedFields  # noqa: E402


class Sign(TranslatableModel):
    translations = TranslatedFields(text=models.CharField(max_length=50))


class SignAdmin(LockableModelAdmin, TranslatableAdmin):
    pass


class OtherWayRound(TranslatableAdmin, LockableModelAdmin):
    pass


@pytest.fixture(autouse=True, params=[SignAdmin, OtherWayRound])
def served(request, serve):
    serve(request.param, Sign)


@pytest.fixture
def sign(db):
    sign = Sign.objects.create(text="Drink me")
    sign.create_translation("de", text="Trink mich")
    return sign


def delete(somebody, sign):
    url = f"/admin/packages/sign/{sign.pk}/change/delete-translation/de/"
    return somebody.post(url, {"post": "yes"})


def test_a_translation_of_what_another_edits_is_not_deleted(alice, bob, sign):
    alice.open(sign)
    assert delete(bob, sign).url == f"/admin/packages/sign/{sign.pk}/change/"
    assert "de" in Sign.objects.get(pk=sign.pk).get_available_languages()


def test_a_translation_of_what_is_free_is_deleted(alice, sign):
    assert delete(alice, sign).status_code == 302
    assert "de" not in Sign.objects.get(pk=sign.pk).get_available_languages()
