"""Views for a schema, and what a schema says of an operation."""

from rest_framework.generics import ListCreateAPIView

from tests.models import Article
from tests.support import drf_site
from tests.support.drf_site import ArticleSerializer

REFUSALS = {"400", "412", "423", "503"}


class ListCreate(ListCreateAPIView):
    queryset = Article.objects.all()
    serializer_class = ArticleSerializer


class Articles:
    queryset = Article.objects.all()
    serializer_class = ArticleSerializer


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
