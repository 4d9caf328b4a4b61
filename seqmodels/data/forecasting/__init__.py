"""Series over time: their grid, their reading, their scaling, windows of context and horizon, data modules."""
