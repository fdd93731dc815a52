"""The pages of the newsroom. Everybody who gets here is signed in (see middleware.py).

Reading takes no lock. A page that changes an article has one address for both halves:

* GET shows the form and locks the article (``locks_object``);
* POST saves, and only with that lock (``requires_lock_on_object``).
"""

from contextlib import suppress

from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST
from django.views.generic import DeleteView, DetailView, ListView, UpdateView

from lock_tokens.decorators import (
    holds_lock_on_object,
    locks_object,
    requires_lock_on_object,
)
from lock_tokens.exceptions import UnlockForbiddenError
from lock_tokens.sessions import (
    check_for_session,
    get_session_token,
    unlock_for_session,
)

from .forms import ArticleForm
from .interruptions import give_back, interrupted
from .models import Article


class ArticleList(ListView):
    # with_lock_state() gives each article its lock_state, all with one query.
    queryset = Article.objects.with_lock_state().select_related(
        "section", "last_edited_by"
    )


class ArticlePage(DetailView):
    queryset = Article.objects.with_lock_state().select_related(
        "section", "last_edited_by"
    )


def not_saved(request, error):
    """Answer a save without the lock: give the text back, and say what to do."""
    # Read anew: the article may have been saved while this request waited for its turn.
    article = get_object_or_404(Article.objects.with_lock_state(), pk=error.obj.pk)
    if not ArticleForm(request.POST, instance=article).has_changed():
        # A second click on Save: the first one saved all this and released the lock.
        messages.success(request, "The article is saved as you wrote it.")
        return redirect(article)
    return give_back(request, "newsroom/not_saved.html", 403, article=article)


@method_decorator(
    locks_object(Article, "pk", template="newsroom/refused.html"), name="get"
)
@method_decorator(
    requires_lock_on_object(
        Article,
        "pk",
        release=True,
        response=not_saved,
        template="newsroom/gone.html",  # for a save that its article did not wait for
    ),
    name="post",
)
class EditArticle(UpdateView):
    """The lock is released when the save answers with a redirect.

    A form with errors is shown again instead, and keeps the lock.
    """

    form_class = ArticleForm
    queryset = Article.objects.with_lock_state()
    # Only methods that are decorated above.
    http_method_names = ["get", "head", "post"]

    def form_valid(self, form):
        form.instance.last_edited_by = self.request.user
        messages.success(
            self.request, "The article is saved. Other people can edit it again."
        )
        return super().form_valid(form)


@method_decorator(
    locks_object(Article, "pk", template="newsroom/refused.html"), name="get"
)
@method_decorator(
    requires_lock_on_object(
        Article, "pk", release=True, template="newsroom/refused.html"
    ),
    name="post",
)
class DeleteArticle(DeleteView):
    model = Article
    success_url = reverse_lazy("article-list")
    # Not "delete": Django's DeleteView answers that method too, and it has no decorator.
    http_method_names = ["get", "head", "post"]

    def form_valid(self, form):
        messages.success(self.request, f"“{self.object}” is deleted.")
        return super().form_valid(form)


@require_POST
def leave(request, pk):
    """Release the lock without saving."""
    article = get_object_or_404(Article, pk=pk)
    session = request.session
    # An old tab must not release the lock of a newer one. (The button on the article's
    # own page sends no token, and means whatever lock this session has.)
    token = request.POST.get("lock_token")
    if token is None or token == get_session_token(article, session):
        with suppress(UnlockForbiddenError):  # it ended, and somebody else has it now
            unlock_for_session(article, session)
    messages.info(request, "You left the article without changing it.")
    return redirect(article)


@require_POST
def publish(request, pk):
    article = get_object_or_404(Article, pk=pk)
    # Not while this person is still writing in another tab.
    if check_for_session(article, request.session):
        messages.warning(
            request,
            "The article was not published because you are editing it. Save or"
            " leave it first.",
        )
        return redirect(article)
    return publish_unless_locked(request, pk=pk)


# force_new: this saves nothing that a page has shown, so an old lock is no hindrance.
@holds_lock_on_object(Article, "pk", force_new=True, template="newsroom/refused.html")
def publish_unless_locked(request, pk):
    """Publish the text as it stands. Nobody can begin to change it meanwhile."""
    article = get_object_or_404(Article, pk=pk)
    article.published_at = timezone.now()
    article.save(update_fields=["published_at"])
    messages.success(request, "Published.")
    return redirect(article)


def csrf_failure(request, reason=""):
    """Answer a form that is older than the sign-in, and give its text back."""
    return interrupted(request, "outdated", status=403)
