"""Rooms that are also verbs: ``isoloss.fit`` is a package and ``isoloss.fit(runs)`` a call."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any


class CallableModule(ModuleType):
    """A package whose call is the function of its own name inside it."""

    def _verb(self) -> Any:
        return self.__dict__[self.__name__.rpartition(".")[2]]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self._verb()(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._verb())


def make_callable(name: str) -> None:
    """Let the package ``name`` be called.

    Importing any module of the room binds the package to its parent's attribute, so a function
    stored there under the same name would be lost; the package has to answer the call itself.
    """
    module = sys.modules[name]
    module.__class__ = CallableModule
    verb = module.__dict__[name.rpartition(".")[2]]
    module.__doc__ = f"{module.__doc__}\n\nCalled as a function:\n\n{inspect.getdoc(verb)}"
