"""The API conforms to its OpenAPI document: schemathesis sends valid and invalid requests and checks every answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable

from .conftest import Server

schemathesis = pytest.importorskip("schemathesis")

_TOKEN = {"Authorization": "Bearer secret"}
N_EXAMPLES = 8  # valid requests for each route, and as many invalid ones


@pytest.mark.slow
def test_the_api_conforms_to_its_document(
    serve: Callable[..., AbstractContextManager[Server]], guess_dir: Path
) -> None:
    from schemathesis import GenerationMode
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    with serve("--workers", 2, "--token", "secret", "--listen-corpus", guess_dir) as server:
        document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        checked = []
        for found in document.get_all_operations():
            operation = found.ok()
            checked.append(operation.label)
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                cases = operation.as_strategy(generation_mode=mode)

                @seed(0)
                @settings(
                    max_examples=N_EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
                )
                @given(case=cases)
                def conforms(case: schemathesis.Case) -> None:
                    # A schema cannot describe which bytes are a recording, so valid requests may be refused.
                    case.call_and_validate(headers=_TOKEN, excluded_checks=[positive_data_acceptance])

                with suppress(Unsatisfiable):  # a route without parameters has no invalid request
                    conforms()
        assert len(checked) >= 10
