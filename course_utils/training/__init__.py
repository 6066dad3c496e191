"""A small trainer: whole datasets as tensors, one permutation an epoch, batches by indexing.

`fit` trains, `predict`, `evaluate` and `confusion_matrix` judge, `random_affine` varies the images a little. The loop
is in `loop`. Around it: `checkpoint` and `interruption` let a run be stopped at any moment and end with the same
weights, `workers` shares every batch among processes, `engine` and `memory` make it faster.
"""

from course_utils.training.augmentation import random_affine
from course_utils.training.checkpoint import FORMAT, load_checkpoint, save_checkpoint
from course_utils.training.checks import SCHEDULES
from course_utils.training.evaluation import confusion_matrix, evaluate, predict
from course_utils.training.history import History
from course_utils.training.loop import OPTIMIZERS, fit, train_epoch
from course_utils.training.memory import keep_freed_memory
from course_utils.training.run import Run, progress_of
from course_utils.training.workers import Workers, connect, meet

__all__ = [
    "FORMAT", "OPTIMIZERS", "SCHEDULES", "History", "Run", "Workers", "confusion_matrix", "connect", "evaluate", "fit",
    "keep_freed_memory", "load_checkpoint", "meet", "predict", "progress_of", "random_affine", "save_checkpoint",
    "train_epoch",
]  # fmt: skip
