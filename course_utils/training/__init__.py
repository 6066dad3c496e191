"""A small trainer: whole datasets as tensors, one permutation per epoch, batches by indexing.

`fit` trains, `predict`, `evaluate` and `confusion_matrix` evaluate, `random_affine` augments the data. The training
loop is in `loop`. `checkpoint` and `interruption` let a run be stopped at any moment and resumed with the same
result, `workers` splits every batch among processes, `engine` and `memory` make training faster.
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
