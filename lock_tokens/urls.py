"""The JSON API. Include it: ``path("lock_tokens/", include("lock_tokens.urls"))``.

The include works without a namespace, and as ``namespace="lock_tokens"`` or
``namespace="lock-tokens"``.
"""

from django.urls import path, register_converter

from .api import views
from .api.converters import ObjectKeyConverter

register_converter(ObjectKeyConverter, "lock_tokens_key")

app_name = "lock_tokens"
urlpatterns = [
    path("<app_label>/<model>/", views.StatesView.as_view(), name="states-view"),
    path(
        "<app_label>/<model>/<lock_tokens_key:object_id>/",
        views.LockView.as_view(),
        name="list-view",
    ),
    path(
        "<app_label>/<model>/<lock_tokens_key:object_id>/<token>/",
        views.TokenView.as_view(),
        name="detail-view",
    ),
]
