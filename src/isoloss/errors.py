"""The errors that isoloss raises.

::

    IsolossError
    ├── InputError (ValueError)   the caller's data or arguments: name, value, rule, remedy
    ├── LawError (ValueError)     a law that cannot be read, or that the runs cannot serve
    ├── FitError                  no usable answer, with a reason code
    └── MissingExtra (ImportError) an optional package is needed; says which extra to install

Usable answers with doubt are not errors: they carry a ``status`` and reasons in the result.
"""

from __future__ import annotations


class IsolossError(Exception):
    """Root of every error raised on purpose by isoloss."""


class InputError(IsolossError, ValueError):
    """The data or an argument break a rule; the message says which, and what to do."""


class LawError(IsolossError, ValueError):
    """A law that cannot be read, or that needs an axis the runs do not have."""


class FitError(IsolossError):
    """No usable answer.

    Attributes
    ----------
    code
        Stable reason code in capitals, for example ``TOO_FEW_RUNS``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[FitError], tuple[str, str]]:
        # Errors travel between processes.
        return type(self), (self.code, str(self))


class MissingExtra(IsolossError, ImportError):
    """An optional dependency is absent."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed; install it with: pip install 'isoloss[{extra}]'"
        )
        self._names = package, extra

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        return type(self), self._names
