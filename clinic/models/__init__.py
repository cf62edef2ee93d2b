"""What the clinic remembers: studies, what was read in them, what people said.

Rows here are the truth; the broker only rings. Invariants stand as constraints.
"""

from clinic.models.jobs import Job
from clinic.models.predictions import ImageReading, Overlay, Prediction
from clinic.models.records import AuditEvent, Review
from clinic.models.registry import ModelVersion
from clinic.models.shadows import ShadowReading
from clinic.models.studies import Instance, PacsCursor, Series, Study
from clinic.models.trials import Trial

__all__ = [
    "AuditEvent",
    "ImageReading",
    "Instance",
    "Job",
    "ModelVersion",
    "Overlay",
    "PacsCursor",
    "Prediction",
    "Review",
    "Series",
    "ShadowReading",
    "Study",
    "Trial",
]
