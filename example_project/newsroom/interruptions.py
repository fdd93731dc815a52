"""How a form that comes to nothing is answered: with what the person had typed."""

from django.shortcuts import render

# What people type, by the name of its field. In the admin a name can begin with the row
# that it is in.
LABELS = {"headline": "Headline", "body": "Text", "text": "Correction", "name": "Name"}


def give_back(request, template, status, **context):
    """Return a page in which nothing of the form is lost."""
    typed = [
        (LABELS.get(name.split("-")[-1]), text) for name, text in request.POST.items()
    ]
    context["typed"] = [(label, text) for label, text in typed if label and text]
    answer = render(request, template, context, status=status)
    answer["Cache-Control"] = "no-store"
    return answer


def interrupted(request, reason, status):
    """Answer a form that fails for a reason that has nothing to do with locks."""
    return give_back(request, "newsroom/interrupted.html", status, reason=reason)
