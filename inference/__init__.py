"""From pixels to a reading."""

import sys

# OpenVINO tells its maker of every conversion unless this cannot be imported.
sys.modules["openvino_telemetry"] = None
