"""The JSON API and what should never have been sent to it: 400, 404, 415, never a 500."""

import json
import uuid
import warnings
from datetime import datetime, timezone
from decimal import Decimal

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import Http404
from django.test import Client
from django.urls import reverse

from lock_tokens.locking.object_keys import find_object, find_objects, key_value
from lock_tokens.models import LockToken
from tests.models import Article, Day, Label, Moment, OldPage, Page, Price, Weight
from tests.support.api import address, error_of, send, states_of
from tests.support.helpers import is_spelling_of, lock_row

pytestmark = [pytest.mark.urls("tests.support.api"), pytest.mark.django_db]

VOID = "0" * 32
MODELS = sorted(
    apps.get_app_config("tests").get_models(), key=lambda model: model.__name__
)
NUMBERS = [
    *("0", "-1", "+1", " 1 ", "1_0", "1.0", "1e2", "²", "\N{FULLWIDTH DIGIT ONE}"),
    *("9" * 19, "-" + "9" * 30, "9" * 400, "9" * 5000),
    *("NaN", "sNaN", "Infinity", "-inf", "1e400", "1E+1000000", "1e-400"),
    "1234567.891",
]
MOMENTS = [
    *("2024-01-01", "2024-02-30", "0001-01-01", "9999-12-31", "20240101", "now"),
    *("2024-01-01T00:00:00", "2024-03-10 02:30", "2024-01-01T00:00:00Z"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00"),
]
TEXTS = [
    *("\0", "a\0b", "\n", "..", ".", "~", "~0", "~2F", "%", "%2F", "%00", "a/b", "\\"),
    *("é", "😀", "\uffff", "ß", '"', "'; --", "<b>", "x" * 255, "x" * 256, "x" * 9000),
    *("None", "null", "pk", "[1, 2]", '[1, "en"]', "1,en", "(1, 'en')", "{}"),
    *("urn:uuid:" + VOID, "{" + VOID + "}", "0" * 31, VOID, "-".join("0" * 8)),
]
KEYS = NUMBERS + MOMENTS + TEXTS


# Addresses


@pytest.mark.parametrize(
    ("app_label", "model"),
    [
        ("no", "article"),
        ("tests", "no"),
        ("tests", "lockablemodel"),
        ("tests", "Article.objects"),
        ("tests\0", "article"),
        ("tests.models", "article"),
        ("é", "%"),
        ("x" * 3000, "y" * 3000),
        ("..", "__class__"),
    ],
)
def test_an_app_or_a_model_that_there_is_not(client, app_label, model):
    for name, *more in (
        ("states-view",),
        ("list-view", "1"),
        ("detail-view", "1", VOID),
    ):
        url = reverse(f"lock_tokens:{name}", args=[app_label, model, *more])
        answer = client.get(f"{url}?object_id=1")
        assert (answer.status_code, error_of(answer)) == (404, "not_found")


@pytest.mark.filterwarnings("ignore:DateTimeField .* received a naive datetime")
@pytest.mark.parametrize("model", MODELS)
def test_keys_that_are_none(client, model):
    labels = [model._meta.app_label, model._meta.model_name]
    for key in KEYS:
        url = reverse("lock_tokens:list-view", args=[*labels, key])
        of_token = reverse("lock_tokens:detail-view", args=[*labels, key, VOID])
        for method, there in (
            ("GET", url),
            ("POST", url),
            ("GET", of_token),
            ("PATCH", of_token),
            ("DELETE", of_token),
        ):
            answer = client.generic(method, there)
            assert answer.status_code == 404, (method, key)
            assert error_of(answer) == "not_found"
    assert not LockToken.objects.exists()


@pytest.mark.filterwarnings("ignore:DateTimeField .* received a naive datetime")
@pytest.mark.parametrize("model", MODELS)
def test_the_states_of_keys_that_are_none(client, model):
    for key in KEYS:
        answer = client.get(states_of(model, key))
        assert answer.status_code == 200, key
        assert answer.json() == {"states": {key: None}}


def test_a_naive_moment_warns_nobody(client):
    """Whoever may send a request could fill the log."""
    moment = Moment.objects.create(at=datetime(2024, 1, 1, 6, tzinfo=timezone.utc))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for key in ("2024-01-01", "2024-01-01T00:00:00"):
            url = reverse("lock_tokens:list-view", args=["tests", "moment", key])
            assert client.get(url).status_code == 200  # TIME_ZONE is six hours behind
            states = client.get(states_of(Moment, key)).json()["states"]
            assert states[key]["locked"] is False
    assert not moment.is_locked()


def test_keys_with_a_time_zone_where_the_project_has_none(client, settings):
    settings.USE_TZ = False
    moment = Moment.objects.create(at=datetime(2024, 1, 1))
    states = client.get(states_of(Moment, "2024-01-01T00:00Z", moment.at.isoformat()))
    assert states.status_code == 200
    assert states.json()["states"][moment.at.isoformat()]["locked"] is False


@pytest.mark.parametrize(
    "make",
    [
        Article.objects.create,
        Page.objects.create,
        lambda: Label.objects.create(name="a label"),
        lambda: Price.objects.create(amount=Decimal("1.50")),
        lambda: Weight.objects.create(kilos=1.5),
        lambda: Day.objects.create(date="2024-02-29"),
        lambda: Moment.objects.create(at=datetime(2024, 1, 1, tzinfo=timezone.utc)),
    ],
)
def test_bad_keys_do_not_keep_a_good_one_from_its_state(client, make):
    obj = make()
    keys = [*(key for key in KEYS if len(key) < 300), str(obj.pk)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        states = client.get(states_of(type(obj), *keys)).json()["states"]
    assert states[str(obj.pk)]["locked"] is False
    assert list(states) == list(dict.fromkeys(keys))


@pytest.mark.parametrize("spelling", ["one", "ONE", "One "])
def test_a_spelling_that_the_table_takes_for_a_key_has_the_same_state(client, spelling):
    """By MariaDB's and MySQL's default collations, which ignore case."""
    Label.objects.create(name="One").lock()
    url = reverse("lock_tokens:list-view", args=["tests", "label", spelling])
    of_one = client.get(url)
    of_many = client.get(states_of(Label, "One", spelling)).json()["states"]
    assert of_many["One"]["locked"] is True
    found = is_spelling_of("One", spelling)
    assert of_one.status_code == (200 if found else 404)
    assert of_many[spelling] == (of_one.json() if found else None)
    alone = client.get(states_of(Label, spelling)).json()["states"]
    assert alone == {spelling: of_many[spelling]}


@pytest.mark.parametrize(
    ("name", "key"), [("x" * 256, "x" * 256), ("x" + " " * 280, "x")]
)
def test_a_key_too_long_to_be_locked_is_not_there(client, name, key):
    """A short spelling may find it: MariaDB looks at no spaces at the end."""
    Label.objects.create(name=name)
    url = reverse("lock_tokens:list-view", args=["tests", "label", key])
    for method in ("GET", "POST"):
        assert client.generic(method, url).status_code == 404
    assert client.get(states_of(Label, key)).json() == {"states": {key: None}}


def test_a_query_string_that_is_no_utf_8(client, article):
    answer = client.get(f"{states_of(Label)}?object_id=%ED%A0%80&object_id=%FF")
    assert answer.status_code == 200
    assert set(answer.json()["states"].values()) == {None}


# Bodies


def calls(article, held):
    """Return the two calls that take a body; the first for somebody who waits."""
    return [("POST", address(article)), ("PATCH", address(article, held["token"]))]


FORM = "application/x-www-form-urlencoded"


def test_a_form_or_a_body_without_a_content_type_is_a_415(client, article, held):
    post, patch = [url for _method, url in calls(article, held)]
    for answer in (
        client.post(post, {"timeout": "5"}),
        client.post(post, {"a": SimpleUploadedFile("a.txt", b"b")}),
        client.post(post, b"timeout=5", content_type=FORM),
        client.patch(patch, b"timeout=5", content_type=FORM),
        client.generic("POST", post, b'{"timeout": 5}', ""),
        client.generic("PATCH", patch, b'{"timeout": 5}', ""),
    ):
        assert (answer.status_code, error_of(answer)) == (415, "unsupported_media_type")


# What cannot be read


class Broken:
    """A body that breaks off."""

    def read(self, *args):
        raise OSError("the client has gone away")

    readline = read


@pytest.mark.parametrize("enforce_csrf_checks", [False, True])
@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=é",
        f"multipart/form-data; boundary={'x' * 300}",
        f"{FORM}; charset=latin-1",
    ],
)
def test_a_form_that_cannot_be_read(article, content_type, enforce_csrf_checks):
    client = Client(enforce_csrf_checks=enforce_csrf_checks)
    client.cookies["csrftoken"] = "a" * 32
    answer = client.generic("POST", address(article), b"a=b", content_type)
    assert (answer.status_code, error_of(answer)) == (400, "bad_request")
    assert not lock_row(article).exists()


def test_a_body_that_breaks_off(client, article, held):
    for method, url in calls(article, held):
        for content_type in ("application/json", FORM):
            broken = {"wsgi.input": Broken(), "CONTENT_LENGTH": 9}
            answer = client.generic(method, url, b"x" * 9, content_type, **broken)
            assert (answer.status_code, error_of(answer)) == (400, "bad_request")


def test_a_body_that_is_too_large(client, settings, article, held):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    for method, url in calls(article, held):
        answer = send(client, method, url, {"timeout": 1.23456})
        assert answer.status_code in (400, 413)
        assert error_of(answer)


def test_too_many_fields(client, settings, article):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 2
    answer = client.get(states_of(Article, 1, 2, 3))
    assert (answer.status_code, error_of(answer)) == (400, "bad_request")
    answer = client.post(address(article), {"a": 1, "b": 2, "c": 3})
    assert (answer.status_code, error_of(answer)) == (400, "bad_request")


def test_whatever_the_content_type_says_a_get_ignores_it(client, article):
    for content_type in ("multipart/form-data", f"{FORM}; charset=latin-1", "junk"):
        for url in (address(article), states_of(Article, article.pk)):
            assert client.generic("GET", url, b"x", content_type).status_code == 200


def no_such_thing(request, model, obj):
    raise Http404("there is none")


def test_a_permission_that_finds_nothing_is_a_404_in_json(client, settings, article):
    settings.LOCK_TOKENS = {"API_PERMISSION": no_such_thing}
    for method, url in (
        ("GET", address(article)),
        ("POST", address(article)),
        ("PATCH", address(article, VOID)),
    ):
        answer = client.generic(method, url)
        assert (answer.status_code, error_of(answer)) == (404, "not_found")


# Objects by their keys


@pytest.mark.parametrize(
    ("make", "keys"),
    [
        (lambda: Article(pk=12), ["12", "+12", " 12", "1_2"]),
        (lambda: Price(amount=Decimal("1.50")), ["1.5", "1.500", "15e-1"]),
        (lambda: Day(date="2024-02-29"), ["2024-02-29", "2024-2-29"]),
        (
            lambda: Moment(at=datetime(2024, 1, 1, tzinfo=timezone.utc)),
            ["2024-01-01T00:00Z", "2024-01-01 01:00+01:00", "2023-12-31T19:00-05:00"],
        ),
        (lambda: Weight(kilos=1.5), ["1.5", "1.50", "15e-1", " +1.5"]),
        (lambda: OldPage(id=VOID), [VOID, f"{{{VOID}}}", str(uuid.UUID(VOID))]),
    ],
)
def test_every_spelling_of_a_key_finds_its_object(make, keys):
    obj = make()
    obj.save(force_insert=True)
    obj.refresh_from_db()
    assert [find_object(type(obj), key) for key in keys] == [obj] * len(keys)
    assert find_objects(type(obj), keys) == dict.fromkeys(keys, obj)


def test_objects_are_found_with_one_query(django_assert_num_queries):
    articles = [Article.objects.create() for _ in range(3)]
    keys = [str(article.pk) for article in articles]
    none = ["x", "\0", "999999"]
    with django_assert_num_queries(1):
        found = find_objects(Article, [*keys, *none])
    assert found == dict(zip([*keys, *none], [*articles, *[None] * 3], strict=True))


def test_on_mariadb_a_text_that_is_not_found_is_looked_for_again(
    django_assert_num_queries,
):
    """Where the first query has found nothing, no spelling of it is there either."""
    label = Label.objects.create(name="One")
    with django_assert_num_queries(1):
        assert find_objects(Label, ["x", "y"]) == {"x": None, "y": None}
    with django_assert_num_queries(3 if connection.vendor == "mysql" else 1):
        found = find_objects(Label, ["One", "x", "y"])
    assert found == {"One": label, "x": None, "y": None}


@pytest.mark.parametrize("key", ["nan", "inf", "-inf", "Infinity", "1e400", "9" * 400])
def test_a_float_that_is_no_number_is_no_key(django_assert_num_queries, key):
    with pytest.raises(ValueError, match=r"is not a valid key of tests\.Weight"):
        key_value(Weight, key)
    with django_assert_num_queries(0):
        assert find_object(Weight, key) is None
        assert find_objects(Weight, [key]) == {key: None}


def test_without_a_possible_key_no_query_is_needed(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert find_objects(Article, []) == {}
        assert find_objects(Article, ["x", "\0"]) == {"x": None, "\0": None}
        assert find_object(Article, None) is None
        assert find_object(Article, "\0") is None


def test_a_number_beyond_the_database_s_leaves_the_others_findable(article):
    keys = [str(article.pk), "9" * 30]
    assert find_objects(Article, keys) == {keys[0]: article, keys[1]: None}


def test_the_errors_are_json_that_any_program_reads(client):
    answer = client.get("/locks/tests/article/x/")
    assert json.loads(answer.content) == {
        "error": "not_found",
        "detail": "There is no such object.",
    }
