"""What others write against and what they get back, by the names under which `edgenas` has them."""

# `X as X` says that a name is here to be imported; mypy takes any other import for a file's own business.
from edgenas.cost.counts import CountCost as CountCost
from edgenas.data.base import Data as Data
from edgenas.exploration.driver import run_search as run_search
from edgenas.exploration.evaluator import Evaluator as Evaluator
from edgenas.exploration.objective import Objective as Objective
from edgenas.exploration.problem import Problem as Problem
from edgenas.exploration.strategy import Strategy as Strategy
from edgenas.exploration.study import Study as Study
from edgenas.exploration.trial import Trial as Trial
from edgenas.graph.graph import Builder as Builder
from edgenas.graph.graph import Choice as Choice
from edgenas.latency.predictor import latency_interval as latency_interval
from edgenas.latency.table import LatencyTable as LatencyTable
from edgenas.latency.table import read_table as read_table
from edgenas.spaces.base import SearchSpace as SearchSpace
from edgenas.workflows.config import Config as Config
from edgenas.workflows.result import Result as Result
