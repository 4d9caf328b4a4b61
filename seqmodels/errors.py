"""The one exception that tells a user's mistake from a fault of the program."""


class UserError(ValueError):
    """A mistake in what the user gave: a key, a value, a file.

    The message is one line that names the key or file, the value, and what would be valid. Commands print it without a
    traceback and exit with 1.

    Example:
        >>> raise UserError("data.batch_size=-3: expected an integer of at least 1")
        Traceback (most recent call last):
        ...
        seqmodels.errors.UserError: data.batch_size=-3: expected an integer of at least 1
    """
