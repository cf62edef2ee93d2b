"""Who may do what: two roles, and nothing is open that does not say so."""

from rest_framework.permissions import BasePermission


class Closed(BasePermission):
    """The default of every API view: nobody, until the view names its roles."""

    def has_permission(self, request, view) -> bool:
        return False
