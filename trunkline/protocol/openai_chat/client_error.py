"""What a chat client is told about a field that cannot be understood or carried. Called by the request's readers."""

from trunkline.core.errors import ErrorType, Fault, FaultError


def bad_field(param: str, message: str) -> FaultError:
    """Return the error for a field that is wrong."""
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=param))


def not_carried(param: str, what: str) -> FaultError:
    """Return the error for something that no provider of another dialect has.

    Args:
        param: the field.
        what: the sentence's beginning, such as "Audio of an earlier answer".
    """
    message = f"{what} cannot be carried to the provider of this model. Leave it out, or use another model."
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=param, code="unsupported_parameter"))
