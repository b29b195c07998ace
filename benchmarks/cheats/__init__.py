"""Cheating backends, and which probe must reject each; ``bnspec cheats`` checks that it does."""

from __future__ import annotations

from typing import Mapping, Tuple

#: Each cheat with the pass in which it cheats, and the probe that must reject it.
CHEATS: Mapping[str, Tuple[str, str]] = {
    "NoSync": ("training", "waits_for_its_results"),
    "FilledLater": ("inference", "waits_for_its_results"),
    "DeadOutput": ("training_gradients", "computes_every_output"),
    "ReplayedOutput": ("inference", "computes_every_call"),
    "ConstantFolding": ("training", "depends_on_its_inputs"),
    "StaleOutput": ("inference", "results_keep_their_values"),
    "MutatedInput": ("inference", "inputs_stay_as_they_are"),
    "WrongMode": ("training", "moves_the_state_of_its_mode"),
    "WrongModeOfState": ("inference", "moves_the_state_of_its_mode"),
    "OtherClock": ("training", "reads_the_systems_clock"),
    "ChangedDtype": ("training", "keeps_the_dtype"),
}
