"""The newsroom's settings, but for passwords, whose hashes take their time on purpose."""

from newsroom_site.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
