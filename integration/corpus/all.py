"""All cases, by name."""

from __future__ import annotations

from corpus import adding, copying, ignoring, metadata, options, running, stages, syntax, variables

MODULES = (syntax, metadata, variables, copying, adding, running, stages, ignoring, options)
CASES = [case for module in MODULES for case in module.CASES]
