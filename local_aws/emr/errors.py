"""What EMR answers when it refuses, with AWS's own codes."""

from __future__ import annotations


class EmrError(Exception):
    """A refused request: `code` is the AWS error code, the text is for a person."""

    code = "ValidationException"
    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def body(self) -> dict[str, str]:
        return {"__type": self.code, "message": self.message}


class ValidationError(EmrError):
    """A request that EMR would refuse, or one that this stand-in cannot serve (the text says which)."""


class SerializationError(EmrError):
    code = "SerializationException"


class UnsupportedOperationError(EmrError):
    code = "UnsupportedOperationException"


class ThrottlingError(EmrError):
    code = "ThrottlingException"


class InternalServerError(EmrError):
    """What this stand-in did not foresee."""

    code = "InternalServerError"
    status = 500


class InjectedError(EmrError):
    """An error that a fault asked for."""

    def __init__(self, message: str, *, code: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class InvalidRequestError(EmrError):
    code = "InvalidRequestException"

    def __init__(self, message: str, error_code: str = "InvalidRequest") -> None:
        super().__init__(message)
        self.error_code = error_code

    def body(self) -> dict[str, str]:
        # this one shape of EMR's spells its members with capitals
        return {"__type": self.code, "ErrorCode": self.error_code, "Message": self.message}
