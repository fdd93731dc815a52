from django import forms

from .models import Article


class ArticleForm(forms.ModelForm):
    class Meta:
        model = Article
        fields = ["headline", "section", "body"]
        widgets = {"body": forms.Textarea(attrs={"rows": 16})}
