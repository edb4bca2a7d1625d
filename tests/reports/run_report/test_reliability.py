import numpy as np

from emocatcher.reports.run_report import reliability, style


def test_bars_end_at_the_accuracy_and_hatching_at_the_confidence() -> None:
    with style.paper():
        _, axes = style.panels(1, 2, (style.SINGLE, 2.0), left=0.4)
        for panel, values in zip(axes[0], ([None, 0.75, 0.9], [np.nan, 0.75, 0.9]), strict=True):
            reliability.draw_panel(panel, values, [values[0], 0.5, 1.0], [0, 20, 5], leftmost=panel is axes[0, 0])
    for panel in axes[0]:
        solid, gaps = ([bar for bar in panel.patches if bool(bar.get_hatch()) == hatched] for hatched in (False, True))
        assert [bar.get_height() for bar in solid if bar.get_height() > 0] == [0.5, 1.0]
        assert [round(bar.get_y() + bar.get_height(), 6) for bar in gaps] == [0.75, 0.9]
        assert [bar.get_alpha() for bar in gaps] == [1.0, 0.25]  # bins with few answers are pale
    assert axes[0, 0].get_ylabel() == "accuracy"
    assert axes[0, 1].get_ylabel() == ""
