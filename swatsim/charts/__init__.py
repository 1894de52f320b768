"""What charts of runs, comparisons and sweeps show. swatsim.pages and swatsim.figures draw them."""
