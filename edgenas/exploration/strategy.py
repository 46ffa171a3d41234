"""Strategy: the contract of everything that proposes architectures, and what its wiring gets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from numpy.random import Generator

from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.problem import Problem
from edgenas.exploration.study import Study
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.training.context import TrainingContext

if TYPE_CHECKING:
    from edgenas.data.base import Data
    from edgenas.system.checkpoint import State
    from edgenas.training.distillation import Teacher
    from edgenas.training.settings import Settings as TrainingSettings


class Strategy(ABC):
    """Proposes architectures of `problem` and learns from their trials.

    The driver calls, in turn: ask; tell with one trial per proposed architecture, in the order proposed; state_dict, at
    moments of its choice. Nothing else is promised and nothing else may be relied on. All randomness comes from
    generators given at construction: the same problem, generators and trials give the same proposals.

    >>> from edgenas.spaces.sampling import sample
    >>> class Dice(Strategy):
    ...     reward_form = "hard"
    ...     def __init__(self, problem, rng):
    ...         self.problem, self.rng = problem, rng
    ...     def ask(self, n=1):
    ...         return [sample(self.problem.space, self.rng) for _ in range(n)]
    ...     def tell(self, trials):
    ...         pass
    ...     def state_dict(self):
    ...         return {"rng": self.rng.bit_generator.state}
    ...     def load_state_dict(self, state):
    ...         self.rng.bit_generator.state = state["rng"]
    >>> import edgenas
    >>> edgenas.testing.strategy_contract(Dice)
    Traceback (most recent call last):
    ...
    AssertionError: Dice: (...) is proposed, and nothing scores it
    """

    reward_form: ClassVar[str]  # the reward that its proposals learn from: hard, soft or absolute
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # values of each option by its name, the default first
    trains_weights: ClassVar[bool] = False  # then its `evaluator` scores by the weights that it trains

    expects: ClassVar[bool] = False  # whether `expect` is of use to it

    problem: Problem
    evaluator: Evaluator | None = None  # one that `trains_weights` has its own
    notes: Sequence[str] = ()  # after `recommend`: what a person should know of what it recommends, a line each

    @classmethod
    def build(cls, priced: Priced, ctx: Context, options: Mapping[str, str]) -> Strategy:
        """Return the strategy for a run, with a value for each of `options`.

        The default calls the class with the problem and a stream of random numbers.

        Args:
            priced: what is to be searched, with the configuration and the images.
            ctx: random streams, and where trainings are kept.
            options: by name, of the values that `options` of the class lists.
        """
        # The contract names no constructor. A class that has another one than (problem, rng) writes `build` itself; the
        # workflows check that before anything is measured.
        return cls(priced.problem, ctx.rng(cls.__name__.lower()))  # type: ignore[call-arg]

    @abstractmethod
    def ask(self, n: int = 1) -> list[Arch]:
        """Advance until there is something worth evaluating: one to `n` architectures of `problem.space`.

        Fewer than `n` is normal; [] ends the search: nothing is left to propose, or nothing can meet the budget. Work
        that needs no evaluation, such as learning from costs alone, happens here; it must be bounded.
        """

    @abstractmethod
    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from what the last `ask` proposed: all of it, in order.

        A trial may have failed (`error` is set, the quality missing) or be infeasible: `reward` is finite all the same
        and ranks it below every scored one. A `weights_version` newer than before makes older rewards incomparable.
        """

    def recommend(self, study: Study, k: int) -> list[Arch]:
        """Return at most `k` architectures to make finalists of, best first, feasible and without repeats.

        Args:
            study: all trials.
            k: how many are wanted; more of them are trained to the end than are delivered.

        Default: the best trials. A strategy whose result is more than its trials, such as a learned policy, adds
        architectures that were never evaluated.
        """
        return [trial.arch for trial in study.best(k)]

    def within(self, problem: Problem) -> list[Arch]:
        """Return what is best within some budgets, those of the search or others, by what is known; by default nothing.

        Args:
            problem: space and costs of the search, with the budgets.
        """
        return []

    def expect(self, scores: Sequence[Sequence[float]]) -> Arch | None:
        """Learn, before anything else, what each option of each choice is worth by itself; the default ignores it.

        Called after construction and before `load_state_dict`, where shared weights are those of a trained network;
        again where the scores were measured once more. What was learned before is replaced.

        Args:
            scores: one number per option of each choice, the better the higher, in a unit of their own; 0 where an
                option is not allowed.

        Returns:
            the best architecture by these scores, if it was looked for and found.
        """
        return None

    def narrow(self, space: SearchSpace) -> None:
        """Propose from this part of the space only, from now on; what was learned outside of it may still serve.

        Called between `tell` and `ask`, and before `load_state_dict` for a state from after the narrowing. Enough where
        all that depends on what is allowed is read from `problem.space` when it is needed.
        """
        self.problem = replace(self.problem, space=space)

    @abstractmethod
    def state_dict(self) -> State:
        """Return all that the next `ask` depends on: generators, populations, optimisers.

        Called between `tell` and `ask`. Built of dicts, lists, tuples, numbers, strings, None and torch tensors, which
        a safe loader reads back. Later calls of the strategy must not change it.
        """

    @abstractmethod
    def load_state_dict(self, state: State) -> None:
        """Become the strategy that `state_dict` described: it proposes the same from here on, bit for bit.

        Called on a strategy just built from the same problem and settings, before its first `ask`.
        """


class Settings(Protocol):
    """The part of the configuration that strategies and evaluators read; None leaves a number to them."""

    @property
    def trials(self) -> int:
        """The number of trials that the search is planned for; it may end earlier."""
        ...

    @property
    def seed(self) -> int:
        """Seed of everything random."""
        ...

    @property
    def search_epochs(self) -> int | None:
        """Epochs of a strategy that trains weights."""
        ...

    @property
    def supernet_epochs(self) -> int | None:
        """Epochs of a supernet that is trained before the search."""
        ...

    @property
    def scratch_epochs(self) -> int | None:
        """Epochs of each architecture that is trained by itself."""
        ...

    @property
    def ghost_batch(self) -> int | None:
        """Images that batch norm sees at once."""
        ...

    @property
    def scores(self) -> str | None:
        """File of known accuracies."""
        ...

    @property
    def scores_name(self) -> str | None:
        """The name of the accuracies in that file."""
        ...


class Priced(Protocol):
    """What is to be searched, once it has prices: what `Strategy.build` and an evaluator's `build` get."""

    @property
    def problem(self) -> Problem:
        """Space, costs and objective."""
        ...

    @property
    def config(self) -> Settings:
        """The configuration."""
        ...

    @property
    def data(self) -> Data:
        """The images, on the training device."""
        ...

    @property
    def teacher(self) -> Teacher | None:
        """The whole trained network, fine-tuned on the images, where others are cuts of it."""
        ...

    @property
    def torch_device(self) -> str:
        """The device to train on: cpu or cuda."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """The space, data and seed that a checkpoint of this run is bound to."""
        ...


class Context(Protocol):
    """Where a run happens: its folder, its progress, its randomness, and who may stop it."""

    def rng(self, name: str) -> Generator:
        """Return an independent stream of random numbers for each name, derived from the run's seed."""
        ...

    def planned(
        self, name: str, settings: TrainingSettings, images: int, step_seconds: Callable[[], float], share: float = 1.0
    ) -> TrainingSettings:
        """Return the settings of the training `name` with the epochs that there is time for, in a share of it."""
        ...

    def training(self, name: str, identity: dict[str, Any]) -> TrainingContext:
        """Return where the training `name` is kept, bound to `identity`, who is told of it, and who may stop it."""
        ...
