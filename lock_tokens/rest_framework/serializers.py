"""Input and output of the route to a lock, for schemas and for forms."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

EXPIRES_IN = "The seconds until the expiry, by the clock of the database."


class SecondsField(serializers.FloatField):
    """A number of seconds above 0."""


class LockTimeoutSerializer(serializers.Serializer[Any]):
    """What a request to lock or to renew may say."""

    timeout = SecondsField(
        required=False, help_text="The lifetime of the lock in seconds."
    )

    def get_initial(self) -> Any:
        """Return no values for a form: a null would be refused."""
        return {}


class LockTokenSerializer(serializers.Serializer[Any]):
    """A lock's token, a secret of its holder, and when the lock expires."""

    token = serializers.CharField()
    expires = serializers.CharField(help_text="The expiry as text for people.")
    expires_at = serializers.DateTimeField(help_text="The expiry for programs.")
    expires_in = serializers.FloatField(help_text=EXPIRES_IN)


class LockStateSerializer(serializers.Serializer[Any]):
    """Whether an object is locked, by whom, since when and until when."""

    locked = serializers.BooleanField()
    locked_by = serializers.CharField(
        allow_null=True, help_text="The holder's name, or null if it is unknown."
    )
    locked_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)


class LockErrorSerializer(serializers.Serializer[Any]):
    """A refusal."""

    error = serializers.CharField(help_text="An error code for programs.")
    detail = serializers.CharField(help_text="An explanation for people.")


class LockedErrorSerializer(LockErrorSerializer):
    """A refusal that says who has the lock, if anybody has."""

    locked_by = serializers.CharField(
        allow_null=True, help_text="The holder's name, or null if it is unknown."
    )
    locked_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)


class LockRenewedErrorSerializer(LockErrorSerializer):
    """A refusal to renew, as the lock was renewed since."""

    expires_at = serializers.DateTimeField(help_text="The current expiry of the lock.")
    expires_in = serializers.FloatField(help_text=EXPIRES_IN)


class LockRouteErrorSerializer(serializers.Serializer[Any]):
    """A refusal; with no more than its detail, where it is none of the lock's."""

    error = serializers.CharField(
        required=False, help_text="An error code for programs."
    )
    detail = serializers.CharField(help_text="An explanation for people.")
    locked_by = serializers.CharField(
        required=False,
        allow_null=True,
        help_text="The holder's name, or null if it is unknown.",
    )
    locked_at = serializers.DateTimeField(required=False, allow_null=True)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
