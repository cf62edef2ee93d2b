"""Configuration. What differs between machines comes from the environment.

Every variable is listed in README.md, and `tests/clinic/test_settings.py` keeps
that list complete.
"""

import os
from pathlib import Path

import dj_database_url

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_ROOT = Path(os.environ.get("OSTEON_DATA", BASE_DIR / "var"))
DEBUG = os.environ.get("OSTEON_DEBUG") == "1"


def _secret() -> str:
    """The environment's key, else one made once and kept in the data folder."""
    if key := os.environ.get("OSTEON_SECRET_KEY"):
        return key
    kept = DATA_ROOT / "secret_key"
    if not kept.exists():
        from django.core.management.utils import get_random_secret_key

        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.touch(mode=0o600)
        kept.write_text(get_random_secret_key())
    return kept.read_text()


def _listed(name: str, default: str = "") -> list[str]:
    return [item for item in os.environ.get(name, default).split(",") if item]


SECRET_KEY = _secret()
ALLOWED_HOSTS = _listed("OSTEON_HOSTS", "localhost,127.0.0.1,[::1],testserver")
CSRF_TRUSTED_ORIGINS = _listed("OSTEON_ORIGINS")
BEHIND_TLS = os.environ.get("OSTEON_TLS") == "1"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "clinic",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "clinic.headers.SecurityHeaders",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "clinic.signin.SignInFirst",
    "clinic.permissions.ClosedByDefault",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "clinic.urls"
WSGI_APPLICATION = "clinic.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "frontend" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Records -----------------------------------------------------------------
DATABASES = {
    "default": dj_database_url.parse(
        os.environ.get("DATABASE_URL") or f"sqlite:///{DATA_ROOT / 'osteon.sqlite3'}",
        conn_max_age=60,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


# --- Files -------------------------------------------------------------------
STORE = os.environ.get("OSTEON_STORE", str(DATA_ROOT / "store"))


def _artifacts(where: str) -> dict[str, object]:
    """A folder, or s3://bucket/prefix of any service that speaks S3."""
    if not where.startswith("s3://"):
        backend = "django.core.files.storage.FileSystemStorage"
        return {"BACKEND": backend, "OPTIONS": {"location": where}}
    from botocore.config import Config

    bucket, _, prefix = where.removeprefix("s3://").partition("/")
    patience = {
        "connect_timeout": 5,
        "read_timeout": 60,
        "retries": {"max_attempts": 2},
    }
    options = {
        "bucket_name": bucket,
        "location": prefix,
        "endpoint_url": os.environ.get("OSTEON_STORE_URL") or None,
        "access_key": os.environ.get("OSTEON_STORE_KEY") or None,
        "secret_key": os.environ.get("OSTEON_STORE_SECRET") or None,
        "file_overwrite": True,
        "client_config": Config(**patience),
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}


STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "artifacts": _artifacts(STORE),
}
MEDIA_ROOT = DATA_ROOT / "media"
MODEL_ROOT = Path(os.environ.get("OSTEON_MODELS", DATA_ROOT / "models"))
SHIPPED_MODELS = BASE_DIR / "inference" / "models"
FIRST_MODEL = "committee"  # of those: in service until another is promoted

# --- PACS --------------------------------------------------------------------
PACS = os.environ.get("OSTEON_PACS", "embedded")  # "orthanc" or "embedded"
PACS_TIMEOUT = float(os.environ.get("OSTEON_PACS_TIMEOUT", "10"))  # seconds
ORTHANC_URL = os.environ.get("ORTHANC_URL", "")
ORTHANC_USER = os.environ.get("ORTHANC_USER", "")
ORTHANC_PASSWORD = os.environ.get("ORTHANC_PASSWORD", "")
EMBEDDED_ROOT = DATA_ROOT / "pacs"
DICOM_AET = os.environ.get("DICOM_AET", "OSTEON")
DICOM_HOST = os.environ.get("DICOM_HOST", "127.0.0.1")
DICOM_PORT = int(os.environ.get("DICOM_PORT", "11112"))
DICOM_ACCEPTED_AETS = _listed("DICOM_ACCEPTED_AETS")  # empty: every calling title
DICOM_MAX_ASSOCIATIONS = int(os.environ.get("DICOM_MAX_ASSOCIATIONS", "10"))
DICOM_TIMEOUT = float(os.environ.get("DICOM_TIMEOUT", "30"))  # seconds of silence
DICOM_MAX_PDU = int(os.environ.get("DICOM_MAX_PDU", "131072"))  # bytes at a time

# --- Reading -----------------------------------------------------------------
QUIET_SECONDS = float(os.environ.get("OSTEON_QUIET_SECONDS", "1"))
LEASE_SECONDS = float(os.environ.get("OSTEON_LEASE_SECONDS", "120"))
MAX_ATTEMPTS = int(os.environ.get("OSTEON_MAX_ATTEMPTS", "4"))
ANATOMY_SCOPE = os.environ.get("OSTEON_SCOPE", "upper_limb")  # inference.anatomy.SCOPES
SAMPLE_DATA = Path(os.environ.get("SAMPLE_DATA", BASE_DIR.parent / "shared" / "data"))

# --- Learning ----------------------------------------------------------------
REVEALED_WEIGHT = float(os.environ.get("OSTEON_REVEALED_WEIGHT", "0.5"))

# --- Background --------------------------------------------------------------
CELERY_BROKER_URL = os.environ.get("BROKER_URL", "filesystem://")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "reading"
CELERY_TASK_ROUTES = {
    "clinic.tasks.explain_prediction": {"queue": "explaining"},
    "clinic.tasks.shadow_prediction": {"queue": "shadow"},
    "clinic.tasks.run_job": {"queue": "training"},
    "clinic.tasks.run_trial": {"queue": "search"},
    "clinic.tasks.provide_search": {"queue": "training"},
    "clinic.tasks.conclude_search": {"queue": "training"},
}
# A doorbell that nobody answers must not hold the one who rings.
CELERY_TASK_PUBLISH_RETRY = False
if CELERY_BROKER_URL.startswith("filesystem"):
    _spool = DATA_ROOT / "broker"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_spool / "queue"),
        "data_folder_out": str(_spool / "queue"),
        "control_folder": str(_spool / "control"),
        "polling_interval": 0.1,
    }
    for _folder in ("queue", "control"):
        (_spool / _folder).mkdir(parents=True, exist_ok=True)
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "max_retries": 0,  # kombu's own, of six seconds
        "queue_order_strategy": "priority",
        "visibility_timeout": 3600,
    }

# --- Web ---------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = os.environ.get("OSTEON_TIME_ZONE", "UTC")
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "frontend" / "dist"]
WHITENOISE_USE_FINDERS = True  # the bundle is served from where Vite leaves it
WHITENOISE_IMMUTABLE_FILE_TEST = r"/assets/[^/]+\.[0-9a-f]{12}\.[a-z]+$"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "worklist"
LOGOUT_REDIRECT_URL = "login"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SECURE_HSTS_SECONDS = 31536000 if BEHIND_TLS else 0
X_FRAME_OPTIONS = "DENY"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication"
    ],
    "DEFAULT_PERMISSION_CLASSES": ["clinic.permissions.Closed"],
    "DEFAULT_PARSER_CLASSES": [
        "clinic.parsers.JSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Osteon",
    "DESCRIPTION": "Studies, models and searches, for scripts that are signed in.",
    "VERSION": "1",
    "ENUM_NAME_OVERRIDES": {
        "JobState": "clinic.models.Job.State",
        "ModelStage": "clinic.models.ModelVersion.Stage",
        "PredictionState": "clinic.models.Prediction.State",
        "StudyState": "clinic.models.Study.State",
        "TrialStage": "clinic.models.Trial.Stage",
        "TrialState": "clinic.models.Trial.State",
    },
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["clinic.permissions.Closed"],
}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator")
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
