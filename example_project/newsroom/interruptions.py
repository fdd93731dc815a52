"""How a form that comes to nothing is answered: with what the person had typed."""

from django.shortcuts import render


def give_back(request, template, status, **context):
    """Return a page in which nothing of the article's form is lost."""
    context["typed"] = [
        (label, request.POST[name])
        for name, label in (("headline", "Headline"), ("body", "Text"))
        if request.POST.get(name)
    ]
    answer = render(request, template, context, status=status)
    answer["Cache-Control"] = "no-store"
    return answer


def interrupted(request, reason, status):
    """Answer a form that fails for a reason that has nothing to do with locks."""
    return give_back(request, "newsroom/interrupted.html", status, reason=reason)
