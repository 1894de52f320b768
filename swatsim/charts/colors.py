"""Colors of pictures, pages and figures, each for white paper and for black."""

from __future__ import annotations

# Told from each other by readers who do not see all colors (after Okabe and Ito, 2008), on white and on black.
COLORS: dict[str, tuple[str, str]] = {
    "blue": ("#0072b2", "#56a8e0"),
    "orange": ("#d98200", "#e69f00"),
    "green": ("#00805c", "#2fc79b"),
    "pink": ("#a03f7c", "#d98fbb"),
    "sky": ("#56b4e9", "#9ad6f7"),
    "red": ("#c44601", "#f07c43"),
    "yellow": ("#d0bf00", "#f0e442"),
    "ink": ("#3a3a3a", "#d8d8d8"),
    "gray": ("#8f8f8f", "#8a8a8a"),
    "pale": ("#b4bfca", "#4d5a68"),
}
# What is compared, everywhere in the same color.
OF_PASS = {
    "forward": "blue",
    "input_grad": "orange",
    "weight_grad": "green",
    "backward": "pink",
    "passes": "ink",
    "other": "pale",
    "step": "gray",
}
OF_TENSOR = {"input": "blue", "weight": "orange", "output": "green", "state": "pink"}
# For what has no color by its name: levels, and causes of stalls, in their order.
IN_ORDER = ("red", "orange", "sky", "green", "pink", "yellow", "blue", "gray")
# For lines of which nothing is beside: neighbors differ most.
OF_LINES = ("blue", "orange", "green", "pink", "ink", "red", "sky", "yellow")


def in_order(number: int) -> str:
    """The color of the first, second … thing of a list."""
    return IN_ORDER[number % len(IN_ORDER)]


def of_line(number: int) -> str:
    """The color of the first, second … line."""
    return OF_LINES[number % len(OF_LINES)]
