"""What there is to choose from: machines, traces, schemes, datapaths, networks and storage formats."""

from swatsim.listing.kinds import KINDS, Listing, listed

__all__ = ["KINDS", "Listing", "listed"]
