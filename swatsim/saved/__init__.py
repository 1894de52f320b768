"""The JSON of a run, a comparison or a sweep, read back strictly (docs/saved_documents.md)."""

from swatsim.saved.dependent_keys import places_of
from swatsim.saved.reading import Saved, load_saved, parse_saved, point_of_sweep
from swatsim.saved.schema_files import schema_bytes, schema_id, schema_names

__all__ = [
    "Saved",
    "load_saved",
    "parse_saved",
    "places_of",
    "point_of_sweep",
    "schema_bytes",
    "schema_id",
    "schema_names",
]
