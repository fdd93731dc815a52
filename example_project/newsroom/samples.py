"""The accounts and the articles that a new newsroom begins with."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import transaction

from .models import Article, Section

EDITORS = "Editors"
CHIEFS = "Editors-in-chief"

# User name, first name, last name, groups. The password is the user name.
ACCOUNTS = [
    ("alice", "Alice", "Moreau", [EDITORS]),
    ("bob", "Bob", "Lindqvist", [EDITORS]),
    ("carol", "Carol", "Adeyemi", [EDITORS, CHIEFS]),
]

# What the groups may do in the admin.
PERMISSIONS = {
    EDITORS: [
        "newsroom.view_article",
        "newsroom.add_article",
        "newsroom.change_article",
        "newsroom.delete_article",
        "newsroom.view_correction",
        "newsroom.add_correction",
        "newsroom.change_correction",
        "newsroom.delete_correction",
        "newsroom.view_section",
    ],
    CHIEFS: [
        "newsroom.add_section",
        "newsroom.change_section",
        "newsroom.delete_section",
        # Edit what somebody else is editing: end their lock.
        "lock_tokens.take_over_locktoken",
        # See the list of all locks, and release some.
        "lock_tokens.view_locktoken",
        "lock_tokens.delete_locktoken",
    ],
}

# Section, headline, who saved it last, text.
ARTICLES = [
    (
        "Council",
        "Old ferry terminal to become a public library",
        "alice",
        """\
The town council voted on Tuesday to turn the empty ferry terminal into a library. \
Work is to begin in spring and to take fourteen months.

The terminal has stood unused since the last crossing six years ago. Its waiting hall \
will hold the reading room, with the windows towards the water kept as they are.

Two councillors voted against, and asked for the cost of heating to be looked at again.""",
    ),
    (
        "Council",
        "Night buses return to the hill district",
        "bob",
        """\
Line 9 will run until half past one again from next month. It had stopped at eleven \
since the winter before last.

Residents had collected 2,300 signatures. The transport office says that it will count \
passengers for a year and then decide again.""",
    ),
    (
        "Harbour",
        "Storm keeps the fishing fleet in port",
        "bob",
        """\
None of the thirty-one boats left the harbour on Thursday. Waves of up to five metres \
were measured at the outer light.

The harbour office expects the wind to ease on Saturday morning. Until then the eastern \
breakwater is closed to walkers.""",
    ),
    (
        "Harbour",
        "A seal with a ticket to everywhere",
        "alice",
        """\
For the third time this month a grey seal has been found asleep on the pontoon of the \
harbour tour, in front of the ticket booth.

The crew now leaves a quarter of an hour later, and has put up a sign. It asks visitors \
to be quiet until the first passenger has gone.""",
    ),
    (
        "Sport",
        "Rowers win by the length of a hand",
        "alice",
        """\
After two thousand metres the photograph had to decide. The women's eight of the \
Tidewater Rowing Club won the regional final on Sunday by less than a tenth of a second.

The stroke said that she had not looked to the side once, and had heard it from the \
bank.""",
    ),
]


@transaction.atomic
def load_accounts():
    """Make the accounts, and their groups, unless the groups are there."""
    if Group.objects.filter(name__in=PERMISSIONS).exists():
        return
    groups = {}
    for name, permissions in PERMISSIONS.items():
        groups[name] = Group.objects.create(name=name)
        for permission in permissions:
            app_label, codename = permission.split(".")
            groups[name].permissions.add(
                Permission.objects.get(
                    content_type__app_label=app_label, codename=codename
                )
            )
    for username, first_name, last_name, names in ACCOUNTS:
        user, is_new = get_user_model().objects.get_or_create(
            username=username,
            defaults={"first_name": first_name, "last_name": last_name},
        )
        if is_new:
            user.set_password(username)
        user.is_staff = True  # may enter the admin
        user.save()
        user.groups.add(*(groups[name] for name in names))


@transaction.atomic
def load_samples():
    """Fill an empty newsroom; say whether it was empty. Change nothing in another."""
    load_accounts()
    if Section.objects.exists():
        return False
    editors = get_user_model().objects.in_bulk(
        [username for username, *_ in ACCOUNTS], field_name="username"
    )
    for name, headline, username, body in ARTICLES:
        section, _ = Section.objects.get_or_create(name=name)
        Article.objects.create(
            section=section,
            headline=headline,
            body=body,
            last_edited_by=editors[username],
        )
    return True
