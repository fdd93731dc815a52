from django.conf import settings
from django.db import models
from django.urls import reverse

from lock_tokens.models import LockableModel


class Section(models.Model):
    name = models.CharField(max_length=50, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name


class Article(LockableModel):
    """A news article. ``LockableModel`` adds methods, and nothing to the table."""

    section = models.ForeignKey(Section, on_delete=models.PROTECT)
    headline = models.CharField(max_length=200)
    body = models.TextField("text")
    published_at = models.DateTimeField(null=True, blank=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    last_edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )

    class Meta:
        ordering = ["section__name", "pk"]

    def __str__(self):
        return self.headline

    def get_absolute_url(self):
        return reverse("article", args=[self.pk])


class Correction(models.Model):
    """What was wrong in an article, and is said below it."""

    article = models.ForeignKey(
        Article, on_delete=models.CASCADE, related_name="corrections"
    )
    text = models.CharField(max_length=300)

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return self.text
