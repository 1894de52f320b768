"""Results as pages: one HTML file each, complete in itself, that asks the network for nothing (docs/pages.md)."""

from swatsim.pages.page import to_page

__all__ = ["to_page"]
