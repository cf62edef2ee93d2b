"""Synthetic wrist radiographs whose fractures are known, as arrays and as DICOM.

They feed the demonstration, the tests and pre-training. Nothing here measures a
person: bones are drawn as outlines, thickened to tubes and projected, so that
edges are bright and marrow is not.
"""

from inference.phantom.examination import study
from inference.phantom.radiograph import Phantom, phantom

__all__ = ["Phantom", "phantom", "study"]
