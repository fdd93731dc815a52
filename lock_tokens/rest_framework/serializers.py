"""What the route of a lock takes and gives, for schemas and for forms."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class LockTimeoutSerializer(serializers.Serializer[Any]):
    """The body of a request to acquire or to renew."""

    timeout = serializers.FloatField(
        required=False, min_value=0, help_text="Life of the lock in seconds."
    )


class LockTokenSerializer(serializers.Serializer[Any]):
    """The token dict."""

    token = serializers.CharField()
    expires = serializers.CharField(help_text="For people.")
    expires_at = serializers.DateTimeField(help_text="For programs.")


class LockStateSerializer(serializers.Serializer[Any]):
    """What anybody may know of an object's lock."""

    locked = serializers.BooleanField()
    locked_by = serializers.CharField(
        allow_null=True, help_text="The holder's name; null when unknown."
    )
    locked_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)


class LockErrorSerializer(serializers.Serializer[Any]):
    """A refusal."""

    error = serializers.CharField(help_text="A code for programs.")
    detail = serializers.CharField()


class LockedErrorSerializer(LockErrorSerializer):
    """A refusal that says who has the lock."""

    locked_by = serializers.CharField(
        allow_null=True, help_text="The holder's name; null when unknown."
    )
    locked_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
