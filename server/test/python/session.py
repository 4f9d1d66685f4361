"""What both clients' sessions ask for. They run as two programs: tritonclient and kserve each bring their
own description of the protocol, under the same name, and cannot be loaded together.
"""

import numpy as np

MODEL = "conditioning"
OUTPUTS = ["encoder_hidden_states", "modulation", "embedded_timestep", "temp_pos_embed"]

rng = np.random.default_rng(1)
# Sixteenths are exact in FP16 and BF16, so that all types must give the same answer.
caption = (rng.integers(-16, 17, [2, 3, 20]) / 16).astype(np.float32)
timesteps = np.array([999, 500, 1], np.int64)


def check(condition, what):
    if not condition:
        raise AssertionError(what)
