"""Track a training with TensorBoard, Trackio or MLflow: curves, settings, figures, result.

```
trainings.track_run         a run, while it trains
trainings.track_sweep       a sweep, a run for each setting
trainings.track_adaptation  an adaptation, at its end
```

A tracker never stops, slows or changes a training: what it does happens in a process of its own.
"""
