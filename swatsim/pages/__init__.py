"""Results as pages: one HTML file each, complete in itself, that asks the network for nothing (docs/pages.md)."""
