"""Files of a run as a stranger may have written them: read as plain values and tensors, and bounded in memory."""
