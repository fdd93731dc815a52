"""Making drf-spectacular's schema of views, and asking it."""

from django.urls import path
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from rest_framework.generics import ListCreateAPIView
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ModelViewSet

from lock_tokens.rest_framework import LockableViewSetMixin
from tests.models import Article
from tests.support import drf_site
from tests.support.drf_site import ArticleSerializer

LOCK = "/api/articles/{id}/lock/"
REFUSALS = {"400", "412", "423", "503"}


def schema_and_warnings(patterns):
    """Return the schema of addresses, and what drf-spectacular warns of."""
    with GENERATOR_STATS.silence():
        GENERATOR_STATS.reset()
        schema = SchemaGenerator(patterns=patterns).get_schema(public=True)
        found = {**GENERATOR_STATS._warn_cache, **GENERATOR_STATS._error_cache}
    validate_schema(schema)
    return schema, [key for key in found if "versioning" not in key]


def urls_of_viewset(viewset):
    """Return the addresses of one viewset at ``/articles/``, and of another view."""
    router = SimpleRouter()
    router.register("articles", viewset, "article")
    return [*router.urls, path("other/", ListCreate.as_view())]


class ListCreate(ListCreateAPIView):
    queryset = Article.objects.all()
    serializer_class = ArticleSerializer


class Articles:
    queryset = Article.objects.all()
    serializer_class = ArticleSerializer


# Without a docstring, which would be its description.
class Locked(LockableViewSetMixin, Articles, ModelViewSet):
    pass


def site():
    return [
        pattern
        for pattern in drf_site.urlpatterns
        if "hand-made" not in str(pattern.pattern)
    ]


def headers_of(operation):
    """Return the headers of a request, and whether they are needed."""
    return {
        parameter["name"]: parameter.get("required", False)
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "header"
    }


def answer_headers_of(operation, status):
    return set(operation["responses"][status].get("headers", ()))


def body_of(operation, status):
    """Return the component of an answer's body; the body's schema where it has none."""
    schema = operation["responses"][status]["content"]["application/json"]["schema"]
    return schema.get("$ref", schema).removeprefix("#/components/schemas/")


def is_described(operation, required=False):
    """Say whether an operation is described as a write that needs the lock."""
    refusals = REFUSALS | ({"428"} if required else set())
    told = REFUSALS - {"400", "503"} | {"428"}
    if "Lock-Token" not in headers_of(operation):
        assert not told & set(operation["responses"])
        return False
    assert headers_of(operation) == {"Lock-Token": required}
    assert refusals <= set(operation["responses"])
    assert ("428" in operation["responses"]) == required
    return True
