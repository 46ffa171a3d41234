"""Learning from a teacher's soft labels."""

from __future__ import annotations

import torch

from edgenas.nn.network import fresh_network
from edgenas.testing.toy import ToySpace
from edgenas.training.distillation import Teacher, distilled, resized

SPACE = ToySpace(3)
X, Y = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.zeros(8, dtype=torch.long)


def network(seed: int):
    return fresh_network(SPACE, (0,) * len(SPACE.choices), seed, "cpu")


def test_the_gradient_is_none_where_pupil_and_teacher_agree():
    pupil, teacher = network(0).eval(), network(0)
    distilled(pupil, Teacher(teacher))(X, Y, 0)
    assert max(float(p.grad.abs().max()) for p in pupil.parameters()) < 1e-6


def test_steps_bring_the_pupil_nearer_and_leave_the_teacher_as_it_is():
    pupil, teacher = network(0), network(1)
    before = [p.detach().clone() for p in teacher.parameters()]
    gradients, optimizer = distilled(pupil, Teacher(teacher)), torch.optim.Adam(pupil.parameters(), 1e-2)
    losses = []
    for step in range(20):
        optimizer.zero_grad()
        losses.append(float(gradients(X, Y, step)))
        optimizer.step()
    assert losses[-1] < losses[0]
    assert all(torch.equal(p, old) and p.grad is None for p, old in zip(teacher.parameters(), before, strict=True))


def test_labels_do_not_matter():
    losses = [float(distilled(network(0), Teacher(network(1)))(X, y, 0)) for y in (Y, Y + 1)]
    assert losses[0] == losses[1]


def test_soft_labels_are_probabilities_without_a_gradient():
    labels = Teacher(network(1)).labels(X)
    assert torch.allclose(labels.sum(1), torch.ones(8)) and not labels.requires_grad


def test_the_same_images_are_shown_to_the_teacher_once():
    teacher, shown = Teacher(network(1)), []
    teacher.network.register_forward_hook(lambda *_: shown.append(1))
    first, other, again = teacher.labels(X), teacher.labels(X + 1), teacher.labels(X.clone())
    assert len(shown) == 2 and torch.equal(first, again) and not torch.equal(first, other)


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr("edgenas.training.distillation.REMEMBERED_BYTES", Teacher(network(1)).labels(X).nbytes)
    teacher, shown = Teacher(network(1)), []
    teacher.network.register_forward_hook(lambda *_: shown.append(1))
    for x in (X, X, X + 1, X + 1):
        teacher.labels(x)
    assert len(shown) == 3


def test_images_are_resized_only_where_they_must_be():
    assert resized(X, 8) is X and resized(X, 4).shape == (8, 3, 4, 4)
