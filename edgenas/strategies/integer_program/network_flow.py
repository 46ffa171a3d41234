"""One integer program for HiGHS: a space and its budgets without scores, for one combination of shape choices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgenas.cost.base import AdditiveCost
from edgenas.graph.conditions import FALSE, TRUE
from edgenas.graph.graph import Arch
from edgenas.graph.ops import Choose
from edgenas.spaces.base import SearchSpace, Statics
from edgenas.strategies.integer_program.decision_diagram import END, DecisionDiagrams
from edgenas.system.stdout import discarded

OptionScores = Sequence[Sequence[float]]  # one number per option per choice
Prices = NDArray[np.float64]  # one number per budget

# The budgets are wider by this share: sums in another order differ in their last digits. Results are priced again.
SLACK = 1e-9
OPEN = -1  # of a condition: neither FALSE nor TRUE yet
INFEASIBLE = 2  # as scipy numbers the answers of HiGHS


class Row(NamedTuple):
    """lower <= sum of values x columns <= upper."""

    columns: list[int]
    values: list[float]
    lower: float
    upper: float


class FlowProgram:
    """A program with a column per option of every choice, then one per branch of the diagrams of kernels' conditions.

    A unit of flow leaves each root, and takes a branch as far as its option is chosen (Behle, 2007: the flows
    through a decision diagram are the convex hull of its solutions). Options are binary; flows are continuous, and
    whole as soon as the options are. A budget is then one row: a branch costs what becomes certain with it.
    """

    def __init__(
        self, space: SearchSpace, statics: Statics, costs: Sequence[AdditiveCost], budgets: Sequence[float]
    ) -> None:
        """Write the program.

        Args:
            space: what it chooses from.
            statics: its shape choices.
            costs: sums over nodes.
            budgets: upper bounds in the units of `costs`.
        """
        self.statics = dict(zip(space.static_indices, statics, strict=True))
        self.conditions = space.conditions(statics)
        graph = space.supergraph(statics)
        self._asks = [
            (space.index[node.op.choice], live)
            for node, live in zip(graph, self.conditions.live, strict=True)
            if isinstance(node.op, Choose)
        ]
        sizes = [len(choice.options) for choice in space.choices]
        self.options = [range(end - size, end) for size, end in zip(sizes, np.cumsum(sizes).tolist(), strict=True)]
        self.columns = sum(sizes)
        self._cuts: dict[Arch, Row] = {}
        self.rows = [Row(list(columns), [1.0] * len(columns), 1.0, 1.0) for columns in self.options]
        prices: dict[int, Prices] = {TRUE: np.array([cost.intercept for cost in costs])}
        nodes = [cost.supergraph_costs(space, statics) for cost in costs]
        for live, *price in zip(self.conditions.live, *nodes, strict=True):
            if any(price):
                prices[live] = prices.get(live, 0.0) + np.array(price)
        self._add_budgets(budgets, prices)

    def _add_budgets(self, budgets: Sequence[float], prices: dict[int, Prices]) -> None:
        """Add a row for each budget, in units of its dearest branch: HiGHS lets a violation of a millionth pass."""
        fixed = prices.pop(TRUE)
        columns, values = self._add_diagrams(prices)
        for row, budget, constant in zip(
            np.reshape(values, (len(columns), len(budgets))).T, budgets, fixed, strict=True
        ):
            unit = float(np.abs(row).max(initial=0.0)) or 1.0
            room = budget + SLACK * abs(budget) - constant
            self.rows.append(Row(columns, (row / unit).tolist(), -np.inf, float(room / unit)))

    def _add_diagrams(self, prices: Mapping[int, Prices]) -> tuple[list[int], list[Prices]]:
        """Add the rows of the flows through all diagrams; return columns and prices of branches that cost something."""
        diagrams = DecisionDiagrams(self.conditions.diagrams)
        columns: list[int] = []
        values: list[Prices] = []
        for root in diagrams.roots(prices):
            flows: dict[int, dict[int, float]] = {}  # of each test: what leaves it, minus what comes in
            taken: dict[int, list[int]] = {}  # columns of the branches that want an option
            for test in diagrams.reached(root):
                choice, branches = diagrams.tests[test]
                for option, (following, certain) in zip(self.options[choice], branches, strict=True):
                    flows.setdefault(test, {})[self.columns] = 1.0
                    flows.setdefault(following, {})[self.columns] = -1.0
                    taken.setdefault(option, []).append(self.columns)
                    if certain:
                        columns.append(self.columns)
                        values.append(np.sum([prices[condition] for condition in certain], axis=0))
                    self.columns += 1
            del flows[END]
            for test, flow in flows.items():
                unit = float(test == root)
                self.rows.append(Row(list(flow), list(flow.values()), unit, unit))
            for option, wanting in taken.items():
                self.rows.append(Row([*wanting, option], [1.0] * len(wanting) + [-1.0], -np.inf, 0.0))
        return columns, values

    def cut(self, arch: Arch) -> Row:
        """Return the row that cuts off `arch`, and all that agrees in the few choices that make its network."""
        if arch not in self._cuts:
            everything = frozenset(range(len(arch)))
            values = self._values(arch, everything)
            kept = active = frozenset(choice for choice, live in self._asks if values[live] == TRUE)
            if not self._settle(arch, kept):  # zeros: what multiplies them is read, but not live
                # The fewer choices a cut names, the more architectures it cuts off.
                kept = everything
                for choice in sorted(everything - active):
                    if self._settle(arch, kept - {choice}):
                        kept -= {choice}
            columns = [self.options[choice][arch[choice]] for choice in sorted(kept)]
            self._cuts[arch] = Row(columns, [1.0] * len(columns), -np.inf, len(columns) - 1.0)
        return self._cuts[arch]

    def _settle(self, arch: Arch, known: Set[int]) -> bool:
        """Return whether these choices of `arch` decide which nodes are live."""
        values = self._values(arch, known)
        return all(values[live] in (FALSE, TRUE) for live in self.conditions.live)

    def _values(self, arch: Arch, known: Set[int]) -> list[int]:
        """Return what each diagram comes to by these choices of `arch` alone: FALSE, TRUE, or OPEN."""
        values = [FALSE, TRUE]
        # Branches have smaller ids than what tests them, so one pass suffices.
        for choice, branches in self.conditions.diagrams.tests[2:]:
            ends = {values[branch] for branch in branches}
            values.append(values[branches[arch[choice]]] if choice in known else ends.pop() if len(ends) == 1 else OPEN)
        return values

    def solve(
        self,
        allowed: Sequence[Sequence[int]],
        scores: OptionScores,
        cuts: Sequence[Row],
        *,
        whole: bool,
        seconds: float,
    ) -> tuple[Arch | None, float]:
        """Return the best architecture that was found, if any, and the bound on all of them.

        Args:
            allowed: option indices by choice; among shape choices only those of this program count.
            scores: one number per option per choice; their sum is maximised.
            cuts: rows of `cut`, which leave out architectures.
            whole: whether options are whole; fractions give no architecture, and the bound faster.
            seconds: how long HiGHS may take.
        """
        from scipy import optimize

        flat = np.concatenate(scores)
        # Options that are not allowed, or not of these shape choices, keep an upper bound of 0.
        upper = np.ones(self.columns)
        upper[: len(flat)] = 0.0
        for i, options in enumerate(allowed):
            upper[[self.options[i][o] for o in options if self.statics.get(i, o) == o]] = 1.0
        integrality = np.zeros(self.columns)
        integrality[: len(flat)] = whole
        with discarded():  # HiGHS of scipy 1.17 leaves a line of its own debugging there
            answer = optimize.milp(
                np.concatenate([-flat, np.zeros(self.columns - len(flat))]),
                integrality=integrality,
                bounds=optimize.Bounds(0.0, upper),
                constraints=self._constraints(cuts),
                options={"mip_rel_gap": 0.0, "time_limit": seconds},
            )
        if answer.status == INFEASIBLE:
            return None, -math.inf
        bound = answer.mip_dual_bound if whole else answer.fun
        # Without time enough there may be neither an architecture nor a bound.
        if answer.x is None or not whole:
            return None, math.inf if bound is None else -bound
        # HiGHS's binaries are whole to within a tolerance only.
        return tuple(int(np.argmax(answer.x[list(columns)])) for columns in self.options), -bound

    def _constraints(self, cuts: Sequence[Row]) -> Any:
        """Return rows and cuts for HiGHS."""
        from scipy import optimize, sparse

        rows = [*self.rows, *cuts]
        starts = np.cumsum([0, *(len(row.columns) for row in rows)])
        columns = [column for row in rows for column in row.columns]
        values = [value for row in rows for value in row.values]
        matrix = sparse.csr_array((values, columns, starts), shape=(len(rows), self.columns))
        return optimize.LinearConstraint(matrix, [row.lower for row in rows], [row.upper for row in rows])
