"""Every address, and with it every view: each names its roles (permissions.py)."""

from django.contrib.auth.views import LogoutView
from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from clinic import api, dashboard, search_api, search_pages, versions, views
from clinic.permissions import ADMINISTRATOR, ANYONE, for_scripts, roles
from clinic.signin import SignIn
from search.demographics import NUMBERS, PAGE

PEOPLE = {"file": PAGE}, {"file": NUMBERS}

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
    path("jobs/", dashboard.job_list, name="jobs"),
    path("jobs/start/", dashboard.start, name="job-start"),
    path("jobs/<int:pk>/", dashboard.job, name="job"),
    path("jobs/<int:pk>/curve/", dashboard.curve, name="job-curve"),
    path("jobs/<int:pk>/people.html", dashboard.people, PEOPLE[0], name="job-people"),
    path("jobs/<int:pk>/people.json", dashboard.people, PEOPLE[1], name="job-counts"),
    path("jobs/<int:pk>/cancel/", dashboard.cancel, name="job-cancel"),
    path("jobs/<int:pk>/resume/", dashboard.resume, name="job-resume"),
    path("jobs/<int:pk>/clear/", dashboard.clear, name="job-clear"),
    path("searches/", search_pages.search_list, name="searches"),
    path("searches/start/", search_pages.start, name="search-start"),
    path("searches/estimate/", search_pages.estimate, name="search-estimate"),
    path("searches/<int:pk>/", search_pages.search, name="search"),
    path("searches/<int:pk>/figures/", search_pages.figures, name="search-figures"),
    path("searches/<int:pk>/net.config", search_pages.net_config, name="net-config"),
    path("searches/<int:pk>/pause/", search_pages.pause, name="search-pause"),
    path("searches/<int:pk>/resume/", search_pages.resume, name="search-resume"),
    path("searches/<int:pk>/clear/", search_pages.clear, name="search-clear"),
    path("searches/<int:pk>/cancel/", search_pages.cancel, name="search-cancel"),
    path("monitoring/", dashboard.monitor, name="monitoring"),
    path("system/pacs/", views.pacs_health, name="pacs-health"),
    path("models/", versions.models, name="models"),
    path("models/compare/", versions.compare, name="compare"),
    path("models/<int:pk>/", versions.model, name="model"),
    path("models/<int:pk>/promote/", versions.promote, name="promote"),
    path("models/<int:pk>/shadow/", versions.shadow, name="shadow"),
    path("models/<int:pk>/retire/", versions.retire, name="retire"),
    path("models/<int:pk>/measure/", versions.measure, name="measure"),
    path("models/<int:pk>/rollback/", versions.rollback, name="rollback"),
    path("api/models/", api.models, name="api-models"),
    path("api/models/<int:pk>/", api.model, name="api-model"),
    path("api/models/<int:pk>/promote/", api.promote, name="api-model-promote"),
    path("api/models/<int:pk>/shadow/", api.shadow, name="api-model-shadow"),
    path("api/models/<int:pk>/retire/", api.retire, name="api-model-retire"),
    path("api/models/<int:pk>/measure/", api.measure, name="api-model-measure"),
    path("api/models/<int:pk>/rollback/", api.rollback, name="api-model-rollback"),
    path("api/searches/", search_api.search_list, name="api-searches"),
    path("api/searches/estimate/", search_api.estimate, name="api-search-estimate"),
    path("api/searches/<int:pk>/", search_api.search, name="api-search"),
    path("api/searches/<int:pk>/log/", search_api.log, name="api-search-log"),
    path("api/searches/<int:pk>/report/", search_api.report, name="api-search-report"),
    path("api/searches/<int:pk>/pause/", search_api.pause, name="api-search-pause"),
    path("api/searches/<int:pk>/resume/", search_api.resume, name="api-search-resume"),
    path("api/searches/<int:pk>/cancel/", search_api.cancel, name="api-search-cancel"),
    path(
        "api/schema/",
        roles(ADMINISTRATOR)(for_scripts(SpectacularAPIView.as_view())),
        name="api-schema",
    ),
    path("health/", views.health, name="health"),
    path("login/", roles(ANYONE)(SignIn.as_view()), name="login"),
    path("logout/", roles(ANYONE)(LogoutView.as_view()), name="logout"),
]
