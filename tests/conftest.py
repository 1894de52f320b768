"""Hypothesis profiles: `ci` repeats the same examples everywhere, `nightly` looks further (HYPOTHESIS_PROFILE)."""

import os

from hypothesis import HealthCheck, settings

# The first example compiles the kernels, so neither a deadline nor a slow start says anything about the code.
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}

settings.register_profile("ci", derandomize=True, max_examples=120, database=None, **_COMMON)
settings.register_profile("nightly", max_examples=5000, print_blob=True, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
