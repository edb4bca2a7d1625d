"""Show the progress of a training in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emocatcher.cli import screen

if TYPE_CHECKING:
    from collections.abc import Callable

    from emocatcher.evaluation.audit import Audit
    from emocatcher.training.experiment import Progress


def watch(start: Callable[[str], screen.Advance]) -> tuple[Callable[[Progress], None], Callable[[Audit], None]]:
    """Return what shows a step as a progress bar, and what prints an audit; both on stderr.

    Args:
        start: starts a bar of a name, from `screen.progress`.
    """
    bars: dict[str, screen.Advance] = {}
    log = screen.console(stderr=True)

    def show(step: Progress) -> None:
        if step.stage not in bars:
            bars[step.stage] = start(step.stage)
        epoch = step.epoch
        note = f"loss {epoch.train_loss:.3f}, test {epoch.test_accuracy:.1%}" if epoch else ""
        bars[step.stage](step.done, step.total, note)
        if step.warning:
            log.print(f"Warning: {step.warning}", markup=False)

    def show_audit(found: Audit) -> None:
        for line in found.lines():
            log.print(line, markup=False)

    return show, show_audit
