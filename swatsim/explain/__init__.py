"""Why the passes of a layer take as long as they do."""

from swatsim.explain.explain import MOST_LAYERS, explain

__all__ = ["MOST_LAYERS", "explain"]
