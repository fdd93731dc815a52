"""Objects with every kind of key, and what tests do to an article."""

from tests.models import Article, Feature, Label, Page, Plain, Translation

LOCKABLE = {
    "an integer": lambda: Article.objects.create(),
    "a UUID": lambda: Page.objects.create(),
    "a text": lambda: Label.objects.create(name="It's 100% ünï/c++:b"),
    "a one-to-one": lambda: Feature.objects.create(),
    "a third party's": lambda: Plain.objects.create(),
}
UNLOCKABLE = {
    "unsaved": lambda: Article(),
    "unsaved with a key": lambda: Article(pk=5),
    "too long": lambda: Label.objects.create(name="x" * 256),
    "composite": lambda: Translation.objects.create(
        article=Article.objects.create(), language="en"
    ),
}


def title_of(article):
    return Article.objects.get(pk=article.pk).title


def rename(article, title="Second"):
    Article.objects.filter(pk=article.pk).update(title=title)
