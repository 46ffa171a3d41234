"""Plugins: their names, where they are looked for, and what their contracts ask of them."""

from __future__ import annotations

import sys
import textwrap

import pytest

from edgenas.errors import OwnCode, UnknownName, UsageError
from edgenas.system import plugins

SPACE = """
    from edgenas.graph.graph import Choice
    from edgenas.spaces.base import SearchSpace

    class Tiny(SearchSpace):
        choices = (Choice("k", (3, 5)),)

        def emit(self, g):
            x = g.choose("k", {k: g.conv(f"c{k}", g.input, out=8, kernel=k) for k in (3, 5)})
            g.linear("head", g.global_pool("pool", x), out=self.classes)

    def build(shape, classes):
        return Tiny(shape, classes)
"""
STRATEGY = """
    from edgenas.exploration.strategy import Strategy

    class {name}(Strategy):
        reward_form = "hard"
        options = {{}}
        trains_weights = False

        def ask(self, n=1): return []
        def tell(self, trials): pass
        def state_dict(self): return {{}}
        def load_state_dict(self, state): pass
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory; modules that are loaded from it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))


# Names


def load(kind, name):
    """Load a plugin that a person has named."""
    plugins.name_own(kind, name)
    return plugins.load(kind, name)


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_every_file_is_a_plugin_or_named_as_a_part(kind):
    folder = plugins.PACKAGE / kind
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    parts = set(plugins.PARTS.get(kind, ()))
    assert parts <= files
    assert {name.replace("-", "_") for name in plugins.names(kind)} == files - parts
    assert plugins.names(kind) == sorted(plugins.names(kind))


def test_every_plugin_keeps_its_contract_and_strategies_are_classes():
    for kind in plugins.KINDS:
        for name in plugins.names(kind):
            assert isinstance(load(kind, name), type) == (kind == "strategies"), name


def test_load_by_name():
    assert load("spaces", "mbconv").__name__ == "edgenas.spaces.mbconv"


def test_dashes_become_underscores():
    assert "fashion-mnist" in plugins.names("data")
    assert load("data", "fashion-mnist").__name__ == "edgenas.data.fashion_mnist"


def test_load_an_installed_module():
    assert load("spaces", "tests._toys").__name__ == "tests._toys"


def test_tables_of_before_name_the_general_space_by_its_old_module():
    assert load("spaces", "edgenas.spaces._general").__name__ == "edgenas.latency.general_space"


@pytest.mark.parametrize("name", ["./tiny.py", "tiny.py", "tiny"])
def test_a_file_in_the_working_directory(here, name):
    write(here / "tiny.py", SPACE)
    plugins.check("spaces", name)
    assert load("spaces", name).__file__ == str(here / "tiny.py")
    assert load("spaces", name) is load("spaces", "./tiny.py")
    assert plugins.file_name("spaces", name) == "tiny"


def test_a_file_elsewhere_is_known_by_its_stem(here, tmp_path):
    write(here / "spaces" / "my-net.py", SPACE)
    path = str(here / "spaces" / "my-net.py")
    assert load("spaces", path).__name__ == plugins.file_name("spaces", path) == "my-net"


def test_a_module_of_a_package_beside_the_working_directory(here):
    write(here / "ours" / "__init__.py", "")
    write(here / "ours" / "tiny.py", SPACE)
    assert load("spaces", "ours.tiny").__name__ == "ours.tiny"


def test_own_plugins_win_over_files_of_their_name(here):
    write(here / "mbconv.py", SPACE)
    assert load("spaces", "mbconv").__name__ == "edgenas.spaces.mbconv"
    assert load("spaces", "./mbconv.py").__name__ == "mbconv"


@pytest.mark.parametrize(
    "name, message",
    [
        ("mbcon", "spaces: no 'mbcon'; did you mean mbconv"),
        ("zzz", "spaces: no 'zzz'; there are .*mbconv.* or a file zzz.py here"),
        ("", "there are .*mbconv"),
        ("base", "no 'base'"),
        ("sampling", "no 'sampling'"),
        ("fashion_mnist", "no 'fashion_mnist'"),
        ("../spaces/mbconv", "no file '../spaces/mbconv'"),
        ("./zzz.py", "spaces: no file './zzz.py'; give the path of a Python file, or one of .*mbconv"),
        (".mbconv", "mbconv"),
        ("no_such_package.space", "cannot import 'no_such_package.space'.*installed"),
    ],
)
def test_unknown_names(here, name, message):
    with pytest.raises(UnknownName, match=message) as caught:
        load("spaces", name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "file, text, message",
    [
        ("tiny.py", "import no_such_package", "cannot import './tiny.py' .*no_such_package.*installed"),
        ("tiny.py", "def build(shape", "cannot import './tiny.py' .*never closed.*mend it"),
        ("tiny.py", "from edgenas.errors import nothing", "cannot import './tiny.py' .*nothing.*mend it"),
        ("json.py", SPACE, "json.py: a module 'json' is loaded already; rename the file"),
        ("my space.py", SPACE, "rename the file to letters, digits and dashes"),
    ],
)
def test_files_that_cannot_be_loaded(here, file, text, message):
    write(here / file, text)
    with pytest.raises(UnknownName, match=message):
        load("spaces", f"./{file}")
    assert "tiny" not in sys.modules


def test_a_file_that_failed_may_be_mended(here):
    write(here / "tiny.py", "raise RuntimeError('half done')")
    with pytest.raises(UnknownName, match=r"cannot import 'tiny' \(RuntimeError: half done\)"):
        load("spaces", "tiny")
    write(here / "tiny.py", SPACE)
    assert load("spaces", "tiny").Tiny


def test_what_only_a_file_names_is_not_run(here):
    (here / "edgenas.d").mkdir()
    for place in ("tiny.py", "edgenas.d/tiny.py", "edgenas.py"):
        write(here / place, "raise SystemExit('it ran')")
    for kind in plugins.KINDS:
        for name in ("./tiny.py", "tiny", "tests.outside", "edgenas.d/tiny.py", "./edgenas.py"):
            with pytest.raises(OwnCode, match="a file may not choose what code runs"):
                plugins.load(kind, name)
    assert "tests.outside" not in sys.modules
    plugins.name_own("spaces", "tiny")
    with pytest.raises(SystemExit, match="it ran"):
        plugins.load("spaces", "./tiny.py")  # the same file
    with pytest.raises(OwnCode):
        plugins.load("strategies", "./tiny.py")  # named as a space alone


def test_a_function_of_edgenas_is_no_trained_network():
    with pytest.raises(OwnCode):
        plugins.check_named("pretrained", "edgenas.cli.main:main")


# Contracts


@pytest.mark.parametrize(
    "kind, text, lacking",
    [
        ("spaces", "", ["build(shape, classes)"]),
        ("spaces", "def build(shape): pass", ["build cannot be called with (shape, classes)"]),
        ("spaces", "build = 3", ["build(shape, classes)"]),
        ("data", "def build(*, root, seed): pass", ["build cannot be called with (root, seed, image_size,"]),
        ("evaluators", "def build(priced): pass", ["build cannot be called with (priced, ctx)"]),
        (
            "runtimes",
            "def open(model): pass",
            ["open cannot be called with (model, threads)", "host(threads)", "version()"],
        ),
        (
            "strategies",
            "class Mine:\n    def ask(self): pass\n    def tell(self, trials): pass",
            [
                *("reward_form", "options", "trains_weights", "build(priced, ctx, options)"),
                *("ask cannot be called with (n)", "state_dict()", "load_state_dict(state)"),
            ],
        ),
    ],
)
def test_one_error_names_all_that_a_plugin_lacks(here, kind, text, lacking):
    write(here / "mine.py", text)
    with pytest.raises(UsageError, match=r"^./mine.py is no .* of edgenas, it lacks: ") as caught:
        load(kind, "./mine.py")
    for each in lacking:
        assert each in str(caught.value)
    assert str(caught.value).count("; ") == len(lacking) - 1


def test_a_strategy_without_its_reward_form(here):
    write(here / "mine.py", STRATEGY.format(name="Mine").replace('reward_form = "hard"', ""))
    with pytest.raises(UsageError, match="it lacks: reward_form$"):
        load("strategies", "mine")


def test_a_strategy_that_leaves_a_method_of_its_base_abstract(here):
    write(here / "mine.py", STRATEGY.format(name="Mine").replace("def tell(self, trials): pass", ""))
    with pytest.raises(UsageError, match=r"it lacks: tell\(trials\)$"):
        load("strategies", "mine")


def test_a_strategy_is_the_one_public_class_of_its_module(here):
    one, two = STRATEGY.format(name="One"), STRATEGY.format(name="Two")
    write(here / "one.py", one + STRATEGY.format(name="_Helper"))
    assert load("strategies", "one").__name__ == "One"
    write(here / "two.py", one + two)
    with pytest.raises(UsageError, match="expected one public class in two; it has One, Two"):
        load("strategies", "two")
    write(here / "none.py", "from edgenas.exploration.strategy import Strategy")
    with pytest.raises(UsageError, match="expected one public class in none; it has none with `ask` and `tell`"):
        load("strategies", "none")
