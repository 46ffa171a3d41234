"""A result of a search that never ran, and fronts of any length."""

from edgenas.workflows.result import Result

RESULT = Result(
    met_budget=True,
    budget_ms=20.0,
    device="some-cpu-1a2b",
    runtime="onnxruntime",
    threads=1,
    precision="fp32",
    predicted_ms=18.2,
    predicted_low_ms=17.4,
    predicted_high_ms=19.1,
    measured_ms=18.423,
    measured_p90_ms=19.8,
    repeat_error=0.012,
    largest_ms=48.3,
    smallest_ms=2.1,
    validation_accuracy=0.99,
    test_accuracy=0.96,
    onnx_test_accuracy=0.96,
    int8_test_accuracy=0.955,
    int8_measured_ms=9.87,
    macs=12_345_678,
    params=1_234_567,
    peak_bytes=1_500_000,
    file_bytes=4_800_000,
    limits=[],
    space="mbconv",
    arch="2" * 46,
    genotype=None,
    choices={"width": 1.0, "s1.b1.se": True, "s1.act": "relu"},
    strategy="evolution",
    evaluator="supernet",
    data="digits",
    seed=0,
    trials=200,
    feasible_trials=143,
    hypervolume=0.0,
    reference_point={},
    test_reads=1,
    seconds={"profile": 41.2, "supernet": 70.0},
    file="model.onnx",
    bundle="runs/one",
    front=[],
    balanced_accuracy=0.945,
    recall={"cat": 0.99, "dog": 0.9, "eel": None},
    confusion=[[99, 1, 0], [10, 90, 0], [0, 0, 0]],
)

UNMEASURED = {"met_budget": None, "measured_ms": None, "measured_p90_ms": None, "repeat_error": None}


def front(points: int, mine: int | None = None) -> list[dict[str, object]]:
    """Return a front of points at 1, 2, ... ms; number `mine` is the delivered architecture."""
    return [
        {
            "latency_ms": 1.0 + i,
            "accuracy": 0.9 + i / 1000,
            "macs": 1e6 * (i + 1),
            "params": 1e5,
            "arch": RESULT.arch if i == mine else f"{i:046}",
        }
        for i in range(points)
    ]
