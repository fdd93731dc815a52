from django.urls import path

from . import views

urlpatterns = [
    path("", views.ArticleList.as_view(), name="article-list"),
    path("articles/<int:pk>/", views.ArticlePage.as_view(), name="article"),
    path("articles/<int:pk>/edit/", views.EditArticle.as_view(), name="edit"),
    path("articles/<int:pk>/delete/", views.DeleteArticle.as_view(), name="delete"),
    path("articles/<int:pk>/leave/", views.leave, name="leave"),
    path("articles/<int:pk>/publish/", views.publish, name="publish"),
]
