"""How a result is made honest: folds that do not leak, scores with intervals, and calibrated confidence."""
