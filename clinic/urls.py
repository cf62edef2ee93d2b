"""Every address, and with it every view: each names its roles (permissions.py)."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from clinic import api, views
from clinic.permissions import ANYONE, roles
from clinic.signin import SignIn

urlpatterns = [
    path("", views.worklist, name="worklist"),
    path("ledger/", views.ledger_line, name="ledger"),
    path("studies/<int:pk>/", views.study, name="study"),
    path("studies/<int:pk>/reading/", views.reading, name="reading"),
    path("studies/<int:pk>/form/", views.verdict_form, name="verdict-form"),
    path("studies/<int:pk>/verdict/", views.verdict, name="verdict"),
    path("studies/<int:pk>/skip/", views.skip, name="skip"),
    path("studies/<int:pk>/requeue/", views.requeue, name="requeue"),
    path("instances/<int:pk>/dicom", api.dicom, name="dicom"),
    path("overlays/<int:pk>.png", api.overlay, name="overlay"),
    path("api/studies/<int:pk>/", api.study, name="api-study"),
    path("system/", views.system, name="system"),
    path("system/pacs/", views.pacs_health, name="pacs-health"),
    path("health/", views.health, name="health"),
    path("login/", roles(ANYONE)(SignIn.as_view()), name="login"),
    path("logout/", roles(ANYONE)(LogoutView.as_view()), name="logout"),
]
