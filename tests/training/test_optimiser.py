"""AdaBelief, compared with pytorch-optimizer."""

import subprocess
import sys

import pytest
import pytorch_optimizer
import torch
from torch import nn

from emocatcher.training.optimiser import AdaBelief


@pytest.mark.parametrize("n_values", [5, 100_000])
@pytest.mark.parametrize("weight_decay", [0.0, 1e-7, 0.1])
def test_every_step_equals_pytorch_optimizer_bit_for_bit(n_values: int, weight_decay: float) -> None:
    torch.manual_seed(n_values)
    ours, theirs = (nn.Parameter(torch.linspace(-1.0, 1.0, n_values)) for _ in range(2))
    recipe = {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": weight_decay}
    optimiser = AdaBelief(ours, **recipe)
    reference = pytorch_optimizer.AdaBelief([theirs], weight_decouple=False, rectify=False, **recipe)
    for step in range(30):
        gradient = torch.randn(n_values) * 10.0 ** (step % 5 - 3)
        gradient[::7] = 0.0
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        optimiser.step()
        reference.step()
        assert torch.equal(ours, theirs), step
        for name, moment in optimiser.state[ours].items():
            assert torch.equal(moment, reference.state[theirs][name])
        for one in (optimiser, reference):  # as a schedule does
            one.param_groups[0]["lr"] *= 0.9


def test_adabelief_converges_to_the_minimum() -> None:
    flat = nn.Parameter(torch.tensor([3.0, -2.0]))
    optimiser = AdaBelief(flat, lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    for _ in range(200):
        flat.grad = 2.0 * flat.detach()
        optimiser.step()
    assert float(flat.detach().abs().max()) < 0.2


def test_adabelief_and_its_schedule_do_not_import_the_compiler() -> None:
    program = (
        "import sys, torch\n"
        "from emocatcher.foundation.settings import load_preset\n"
        "from emocatcher.training import optimiser, schedule\n"
        "settings, flat = load_preset('cabg'), torch.nn.Parameter(torch.ones(3))\n"
        "adabelief = optimiser.build(settings.optimiser, flat)\n"
        "plateau = schedule.build(settings.schedule, adabelief, 1)\n"
        "flat.grad = torch.ones(3)\n"
        "adabelief.step(), plateau.after_epoch(1.0)\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
