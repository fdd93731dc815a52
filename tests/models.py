import uuid

from django.db import models

from lock_tokens.managers import LockableModelManager
from lock_tokens.models import LockableModel


class Article(LockableModel):
    title = models.CharField(max_length=200, blank=True)


class ArticleProxy(Article):
    class Meta:
        proxy = True


class Feature(Article):
    """Inherits over a table of its own: its key is a one-to-one field."""

    lead = models.CharField(max_length=200, blank=True)


class Page(LockableModel):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    title = models.CharField(max_length=200, blank=True)


class Label(LockableModel):
    name = models.CharField(max_length=300, primary_key=True)


class Plain(models.Model):
    """As of a third party: it knows nothing of locks."""

    title = models.CharField(max_length=200, blank=True)


class DraftManager(LockableModelManager):
    def get_queryset(self):
        return super().get_queryset().filter(draft=True)


class Draft(LockableModel):
    draft = models.BooleanField(default=True)
    user = models.CharField(max_length=20, blank=True)

    objects = DraftManager()


class Price(LockableModel):
    amount = models.DecimalField(max_digits=8, decimal_places=2, primary_key=True)


class Moment(LockableModel):
    at = models.DateTimeField(primary_key=True)


class Char32UUIDField(models.UUIDField):
    """A UUID in a text column everywhere, as Django's release notes of 5.0 advise."""

    def db_type(self, connection):
        return "char(32)"

    def get_db_prep_value(self, value, connection, prepared=False):
        value = super().get_db_prep_value(value, connection, prepared)
        return value.hex if isinstance(value, uuid.UUID) else value


class OldPage(LockableModel):
    id = Char32UUIDField(primary_key=True, default=uuid.uuid4)


class Day(LockableModel):
    date = models.DateField(primary_key=True)


class Weight(LockableModel):
    kilos = models.FloatField(primary_key=True)


class Translation(LockableModel):
    pk = models.CompositePrimaryKey("article_id", "language")
    article = models.ForeignKey(Article, on_delete=models.CASCADE)
    language = models.CharField(max_length=2)


class Keyword(models.Model):
    name = models.CharField(max_length=50)

    def __str__(self):
        return self.name


class Story(models.Model):
    """As the admin's pages are mostly: with rows of its own, and many to many."""

    headline = models.CharField(max_length=200)
    body = models.TextField(blank=True)
    is_urgent = models.BooleanField(default=False)
    keywords = models.ManyToManyField(Keyword, blank=True)

    def __str__(self):
        return self.headline


class Comment(models.Model):
    story = models.ForeignKey(Story, on_delete=models.CASCADE)
    text = models.CharField(max_length=200)

    def __str__(self):
        return self.text


class Reply(models.Model):
    """A row of a comment, which is a row of a story."""

    comment = models.ForeignKey(Comment, on_delete=models.CASCADE)
    text = models.CharField(max_length=200)

    class Meta:
        verbose_name_plural = "replies"

    def __str__(self):
        return self.text


class Desk(models.Model):
    """Others point to its name, so that the admin may ask for it by that."""

    name = models.SlugField(unique=True)
    telephone = models.CharField(max_length=20, blank=True)


class Shift(models.Model):
    desk = models.ForeignKey(Desk, to_field="name", on_delete=models.CASCADE)


class Badge(models.Model):
    """Its fields have names that the package uses too."""

    holder = models.CharField(max_length=50)
    lock_token = models.CharField(max_length=50, blank=True)
    lock_state = models.CharField(max_length=50, blank=True)


class Document(models.Model):
    """Its file is chosen anew in each form that is sent."""

    title = models.CharField(max_length=200)
    file = models.FileField(blank=True)

    def __str__(self):
        return self.title


class Sample(models.Model):
    """A field of each kind that a list can have editable."""

    name = models.CharField(max_length=50)
    text = models.TextField(blank=True)
    day = models.DateField(null=True, blank=True)
    moment = models.DateTimeField(null=True, blank=True)
    time = models.TimeField(null=True, blank=True)
    duration = models.DurationField(null=True, blank=True)
    price = models.DecimalField(max_digits=9, decimal_places=2, null=True, blank=True)
    weight = models.FloatField(null=True, blank=True)
    number = models.BigIntegerField(null=True, blank=True)
    choice = models.IntegerField(
        choices=[(1000, "few"), (2000, "many")], null=True, blank=True
    )
    flag = models.BooleanField(default=False)
    maybe = models.BooleanField(null=True, blank=True)
    data = models.JSONField(null=True, blank=True)
    uid = models.UUIDField(null=True, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    keyword = models.ForeignKey(
        Keyword, null=True, blank=True, on_delete=models.CASCADE
    )

    def __str__(self):
        return self.name
