from django.contrib.auth import get_user_model, login
from django.contrib.staticfiles.views import serve
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import include, path, reverse_lazy
from django.views.decorators.csrf import csrf_exempt

from lock_tokens.decorators import locks_object
from lock_tokens.generic import LockedUpdateView
from tests.models import Article, Story

from . import admin


def page(request, kind, key="", **more):
    """A page of scripts: ``?early`` has its own before the client, ``?twice`` two tags."""
    context = {"kind": kind, "key": key, **more}
    return render(request, "served/page.html", context)


@locks_object(Article, lambda request, key: key)
def edit(request, key):
    return page(request, "edit", key, token=request.lock_token["token"])


class EditStory(LockedUpdateView):
    model = Story
    fields = ["headline", "body", "is_urgent"]
    template_name = "served/story.html"
    success_url = reverse_lazy("admin:tests_story_changelist")

    def lock_taken_over(self, holder):
        message = f"Took over from {holder.locked_by.get_full_name()}."
        admin.site.get_model_admin(Story).log_change(
            self.request, self.locked_object, message
        )


def sign_in(request, username):
    user = get_user_model().objects.get(username=username)
    login(request, user, "django.contrib.auth.backends.ModelBackend")
    return HttpResponse(f"<!DOCTYPE html><title>{username}</title>")


@csrf_exempt
def download(request):
    """What a button downloads. The page with the button stays."""
    disposition = {"Content-Disposition": "attachment; filename=story.txt"}
    return HttpResponse("A story", headers=disposition)


urlpatterns = [
    path("admin/", admin.site.urls),
    path("locks/", include("lock_tokens.urls")),
    path("edit/<key>/", edit),
    path("stories/<int:pk>/", EditStory.as_view()),
    path("hold/<key>/", page, {"kind": "hold"}),
    path("watch/<key>/", page, {"kind": "watch"}),
    path("client/", page, {"kind": "client"}),
    path("sign-in/<username>/", sign_in),
    path("elsewhere/", lambda request: HttpResponse("<!DOCTYPE html><title>x</title>")),
    path("download/", download),
    path("favicon.ico", lambda request: HttpResponse(status=204)),
    path("static/<path:path>", serve, {"insecure": True}),
]
