"""Declare a command that shares another one's parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection


def same_parameters(
    source: Callable[..., None], without: Collection[str]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give the decorated function the signature of `source`, except for the parameters `without`.

    Typer reads a command's parameters from its signature; sharing it keeps one declaration of the
    sixty options that two commands have in common.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(source, eval_str=True)
        kept = [parameter for name, parameter in signature.parameters.items() if name not in without]
        function.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined] # PEP 362
        return function

    return decorate
