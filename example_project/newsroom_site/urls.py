from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from newsroom.api import router

urlpatterns = [
    path("sign-in/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    # Nothing more is needed here: when somebody signs out, their locks are released.
    path("sign-out/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    # What the scripts of the newsroom and of the admin talk to.
    path("locks/", include("lock_tokens.urls")),
    # The articles, for programs. See edit_over_http.py.
    path("api/", include(router.urls)),
    path("", include("newsroom.urls")),
]
