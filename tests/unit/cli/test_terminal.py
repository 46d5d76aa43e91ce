"""Text for a log of GitHub Actions holds no commands to the runner, whoever wrote it."""

from __future__ import annotations

import pytest

from mlplan.lang.diagnostic import Diagnostic
from mlplan.report.diagnostics import diagnostics_text
from mlplan.report.style import Style, style_for


@pytest.mark.parametrize(
    "text", ["::set-output name=a::b", "  ::add-mask::x", "a ##[add-path]b", "x\n\t::stop-commands::y"]
)
def test_commands_to_the_runner_are_broken(text: str) -> None:
    shown = diagnostics_text(
        [Diagnostic("some-code", "Something", text)], {}, style_for(False, {"GITHUB_ACTIONS": "true"}, False, 80)
    )
    assert "##[" not in shown
    assert not any(line.strip().startswith("::") for line in shown.splitlines())
    assert "set-output" in shown or "add-mask" in shown or "add-path" in shown or "stop-commands" in shown


def test_elsewhere_text_stays_as_it_is() -> None:
    assert Style().plain("::a ##[b") == "::a ##[b"
    assert style_for(False, {"LANG": "C.UTF-8"}, False, 80).plain("::a") == "::a"
    assert style_for(True, {"GITHUB_ACTIONS": "true"}, False, 80).plain("::a") == "::a"
