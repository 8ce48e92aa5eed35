"""What the CLI cannot do, in one line for people. `trunkline.cli.__main__` prints it; nobody sees a traceback."""


class CLIError(Exception):
    """Says what went wrong and what to do, without a final full stop where it ends in a name or address.

    Attributes:
        faults: further lines, one fault each.
        exit_code: of the process.
    """

    def __init__(self, message: str, *, faults: tuple[str, ...] = (), exit_code: int = 1) -> None:
        super().__init__(message)
        self.faults = faults
        self.exit_code = exit_code
