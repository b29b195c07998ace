"""Layer histories: random sequences of calls and operations between calls, from a hypothesis state machine.

The rules are user actions: train, infer, save and restore, copy, freeze, reset, change the decay, pass an empty batch, make a
malformed call. The machine tracks which actions are valid next; every step is judged from its observed state. A history is a
normal case: run once per backend, judged by every clause, shrunk as data, saved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import hypothesis
import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.strategies import SEEDS
from bnspec.model.call import (
    CLONE,
    FREEZE,
    INFERENCE,
    INFERENCE_GRADIENTS,
    RESET,
    SAVE_RESTORE,
    SET_DECAY,
    SWAP,
    TRAINING,
    TRAINING_GRADIENTS,
    UNFREEZE,
    Call,
)
from bnspec.model.case import Case, Step

#: Few forms, all of them in the catalogue, because each costs a compilation; the histories vary instead.
FORMS = (Form((9, 5), 1), Form((4, 3, 5, 2), 1), Form((4, 5, 2, 3), 3), Form((9, 5), 1, "float64", "float64"))
DECAYS = (0.5, 0.0, 1.0, 0.875, 0.25)
#: The largest number of calls in a history.
LENGTH = 16


class History(RuleBasedStateMachine):
    """The history of one layer. ``on_history`` receives the complete history as a case, and may raise to have it shrunk.

    Attributes:
        steps: the calls so far; copies: whether there is a second layer to swap with; frozen, other_frozen: whether this
            layer and the second one are frozen.
    """

    on_history: Callable[[Case], None] = staticmethod(lambda case: None)

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.base: Case | None = None
        self.copies, self.frozen, self.other_frozen = False, False, False

    @initialize(
        form=st.sampled_from(FORMS),
        kind=st.sampled_from(("wide", "ordinary", "narrow", "exact", "like_epsilon")),
        epsilon=st.sampled_from((2.0**-10, 1.0, 2.0**-17)),
        decay=st.sampled_from(DECAYS),
        seed=SEEDS,
    )
    def build(self, form: Form, kind: str, epsilon: float, decay: float, seed: int) -> None:
        """Build the layer and its batches: two of different sizes, an empty one and a malformed one."""
        plan = Plan(form, kind, epsilon=epsilon, decay=decay, seed=seed)
        self.base = batch_norm_case(plan)
        self.steps.append(Step(INFERENCE, ("x",), fresh=True))

    def call(self, call: Call, *inputs: str, **options: float) -> None:
        """Append a call."""
        self.steps.append(Step(call, inputs, options=tuple(options.items())))

    @rule(batch=st.sampled_from(("", "2")))
    def train(self, batch: str) -> None:
        """A training pass without gradients."""
        self.call(TRAINING, f"x{batch}")

    @rule(batch=st.sampled_from(("", "2")))
    def learn(self, batch: str) -> None:
        """A training pass with gradients."""
        self.call(TRAINING_GRADIENTS, f"x{batch}", f"dy{batch}")

    @rule(batch=st.sampled_from(("", "2")), gradients=st.booleans())
    def infer(self, batch: str, gradients: bool) -> None:
        """An inference pass."""
        if gradients:
            self.call(INFERENCE_GRADIENTS, f"x{batch}", f"dy{batch}")
        else:
            self.call(INFERENCE, f"x{batch}")

    @precondition(lambda self: not self.frozen)
    @rule()
    def save_and_restore(self) -> None:
        """Continue with the layer's own restored checkpoint, which does not store whether it is frozen."""
        self.call(SAVE_RESTORE)

    @rule()
    def clone(self) -> None:
        """Continue with a copy; keep the original as the second layer."""
        self.call(CLONE)
        self.copies, self.other_frozen = True, self.frozen

    @precondition(lambda self: self.copies)
    @rule()
    def swap(self) -> None:
        """Swap the copy and the original."""
        self.call(SWAP)
        self.frozen, self.other_frozen = self.other_frozen, self.frozen

    @rule()
    def reset(self) -> None:
        """Reset the running statistics."""
        self.call(RESET)

    @rule(frozen=st.booleans())
    def freeze(self, frozen: bool) -> None:
        """Freeze or unfreeze the layer."""
        self.call(FREEZE if frozen else UNFREEZE)
        self.frozen = frozen

    @rule(decay=st.sampled_from(DECAYS))
    def change_decay(self, decay: float) -> None:
        """Change the decay for later steps."""
        self.call(SET_DECAY, decay=decay)

    @rule(training=st.booleans())
    def pass_nothing(self, training: bool) -> None:
        """A batch without elements."""
        self.call(TRAINING if training else INFERENCE, "none")

    @rule(training=st.booleans())
    def call_wrongly(self, training: bool) -> None:
        """A batch with twice as many channels, which must raise an error and leave the state unchanged."""
        self.steps.append(Step(TRAINING if training else INFERENCE, ("wide",), refused=True))

    def case(self) -> Case | None:
        """The history as a case."""
        if self.base is None:
            return None
        config, x = self.base.config, self.base.arrays["x"]
        axis = config.reduce_axes[0]
        extra = {"none": np.take(x, [], axis=axis), "wide": np.repeat(x, 2, axis=config.channel_axis)}
        used = {n for s in self.steps for n in s.inputs} | {"gamma", "beta", "running_mean", "running_var"}
        arrays = {n: a for n, a in {**self.base.arrays, **extra}.items() if n in used}
        return self.base.with_(steps=tuple(self.steps), arrays=arrays)

    def teardown(self) -> None:
        """Report the complete history."""
        case = self.case()
        if case is not None:
            type(self).on_history(case)


def machine(on_history: Callable[[Case], None]) -> type[History]:
    """A state machine that reports its histories to ``on_history``."""
    return type("History", (History,), {"on_history": staticmethod(on_history)})


def draw_histories(number: int, seed: int) -> Sequence[Case]:
    """At most this many histories; the same seed gives the same ones."""
    found: list[Case] = []
    run_state_machine_as_test(
        hypothesis.seed(seed)(machine(found.append)),
        settings=hypothesis.settings(
            max_examples=number,
            stateful_step_count=LENGTH,
            phases=[hypothesis.Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
    return found
