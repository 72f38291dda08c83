"""Broken protocols: each names key, value, what is allowed and a remedy, and none yields a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.plan import make_plan
from engine.protocol.faults import ProtocolError, printable, show_value
from engine.protocol.load import load_protocol, parse_protocol
from engine.protocol.sections import SECTIONS

GOOD = {
    "protocol": 'name = "good"\nreplicas = 4',
    "data": 'preset = "digits"',
    "model": 'preset = "resnet6"',
    "train": "epochs = 10\nbatch_size = 50",
}
ARM = '[[arm]]\nname = "Init"\nvary = ["init"]\n'


SHUFFLE = '[[arm]]\nname = "Shuffle"\nvary = ["shuffle"]\n'
PYDOC, QRNN = 'preset = "pydoc"', 'preset = "qrnn"\n'
CROSSED = '[[arm]]\nname = "a"\ncrossed = {{ {} }}\n'
ENSEMBLE = ARM + '[[arm]]\nname = "Pairs"\nensemble = {{ of = "{of}", size = {size} }}\n'


def document(*extra: str, arm: str = ARM, **sections: str) -> str:
    parts = GOOD | sections
    body = "\n".join(f"[{name}]\n{content}" for name, content in parts.items() if content != "absent")
    return "\n".join([body, *extra, arm])


NAMED = {
    "key of an arm": ('[[arm]]\nname = "Slow"\nvary = ["seed"]', 'arm[1].vary (arm "Slow") = ["seed"]: '),
    "setting of an arm": (
        ARM + '[[arm]]\nname = "Slow"\nvary = []\ntrain = { lr = -1 }',
        'arm[2].train.lr (arm "Slow") = -1: ',
    ),
    "arm without a name": ('[[arm]]\nvary = ["seed"]', 'arm[1].vary = ["seed"]: '),
    "arm with a number for a name": ('[[arm]]\nname = 3\nvary = ["seed"]', 'arm[1].vary = ["seed"]: '),
    "name that is taken": (ARM + ARM, 'arm[2].name = "Init": '),
}


@pytest.mark.parametrize("name", NAMED)
def test_faults_of_arms_say_which_by_name(name: str) -> None:
    arms, expected = NAMED[name]
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(document(arm=arms), file="x.toml")
    assert f"  {expected}" in str(caught.value)


def test_arm_that_varies_nothing_is_named() -> None:
    protocol = parse_protocol(document(arm='[[arm]]\nname = "Flips"\nvary = ["augment"]'), file="x.toml")
    with pytest.raises(ProtocolError, match=r'arm\[1\]\.vary \(arm "Flips"\)'):
        make_plan(protocol, device="cpu")


CASES: dict[str, tuple[str, str, str]] = {
    # name: (text, key that is named, what is said of it)
    "syntax": (document() + "\n[broken", "", "not valid TOML"),
    "duplicate key": (document(train="epochs = 1\nepochs = 2"), "", "not valid TOML"),
    "empty file": ("", "protocol.name", "is missing"),
    "name missing": (document(protocol="replicas = 3"), "protocol.name", "is missing"),
    "name climbs": (document(protocol='name = "../x"'), "protocol.name", "A-Z a-z"),
    "name is markup": (document(protocol='name = "[red]x[/]"'), "protocol.name", "A-Z a-z"),
    "name escapes": (document(protocol='name = "\\u001b[31mred"'), "protocol.name", "A-Z a-z"),
    "name reversed": (document(protocol='name = "a\\u202Eb"'), "protocol.name", "A-Z a-z"),
    "name with newline": (document(protocol='name = "a\\nb"'), "protocol.name", "A-Z a-z"),
    "name with NUL": (document(protocol='name = "a\\u0000"'), "protocol.name", "A-Z a-z"),
    "name too long": (document(protocol=f'name = "{"x" * 300}"'), "protocol.name", "302 characters"),
    "name empty": (document(protocol='name = ""'), "protocol.name", "A-Z a-z"),
    "name dots": (document(protocol='name = ".."'), "protocol.name", "A-Z a-z"),
    "name number": (document(protocol="name = 7"), "protocol.name", "A-Z a-z"),
    "replicas zero": (document(protocol='name = "a"\nreplicas = 0'), "protocol.replicas", "from 1 to 10000"),
    "replicas text": (document(protocol='name = "a"\nreplicas = "ten"'), "protocol.replicas", "whole number"),
    "replicas true": (document(protocol='name = "a"\nreplicas = true'), "protocol.replicas", "whole number"),
    "replicas fraction": (document(protocol='name = "a"\nreplicas = 2.5'), "protocol.replicas", "whole number"),
    "reference unknown": (document(protocol='name = "a"\nreference = "table9"'), "protocol.reference", "did you mean"),
    "unknown section": (document("[trian]\nlr = 1"), "trian", "did you mean train?"),
    "unknown key": (document(train="epoch = 3"), "train.epoch", "did you mean epochs?"),
    "section is a value": ("train = 3\n" + document(train="absent"), "train", "must be a section"),
    "data missing": (document(data="absent"), "data.preset", "is missing"),
    "data unknown": (document(data='preset = "cifar"'), "data.preset", "did you mean cifar10?"),
    "data list": (document(data='preset = ["digits"]'), "data.preset", "must be one of"),
    "data both": (document(data='preset = "digits"\ntarget = "a:b"'), "data.target", "only one can be used"),
    "target without function": (document(data='target = "my.module"'), "data.target", "module:function"),
    "target with code": (document(model='target = "os:system(1)"'), "model.target", "module:function"),
    "train_size too large": (document(data='preset = "digits"\ntrain_size = 5000'), "data.train_size", "1,000"),
    "train_size negative": (document(data='preset = "digits"\ntrain_size = -1'), "data.train_size", "whole number"),
    "test_size of a given test set": (document(data='preset = "digits"\ntest_size = 500'), "data.test_size", "mnist1d"),
    "test_size of one's own data": (document(data='target = "a:b"\ntest_size = 500'), "data.test_size", "mnist1d"),
    "test_size of an arm": (
        document(data='preset = "mnist1d"', arm=ARM + "data = { test_size = 500 }"),
        "arm[1].data.test_size",
        "share their test examples",
    ),
    "signals cropped": (document(data='preset = "mnist1d"\naugment = "crop"'), "data.augment", "holds signals"),
    "signals mirrored": (document("[evaluate]\nflip = true", data='preset = "mnist1d"'), "evaluate.flip", "signals"),
    "signals in views": (document("[evaluate]\ncrops = 9", data='preset = "mnist1d"'), "evaluate.crops", "signals"),
    "sample unknown": (document(data='preset = "digits"\nsample = "bootstap"'), "data.sample", "mean bootstrap?"),
    "split of nothing": (document(data='preset = "digits"\nsample = "split"'), "data.validation_size", "at least 1"),
    "split of everything": (
        document(data='preset = "digits"\ntrain_size = 90\nsample = "split"\nvalidation_size = 90'),
        "data.validation_size",
        "none of the 90 training examples",
    ),
    "left out without a split": (
        document(data='preset = "digits"\nsample = "bootstrap"\nvalidation_size = 90'),
        "data.validation_size",
        '"bootstrap"',
    ),
    "sample of text": (document(data=f'{PYDOC}\nsample = "bootstrap"', model=QRNN), "data.sample", "has no meaning"),
    "augment unknown": (document(data='preset = "digits"\naugment = "mixup"'), "data.augment", "crop-flip"),
    "model unknown": (document(model='preset = "resnet15"'), "model.preset", "did you mean resnet1"),
    "model of torchvision": (document(model='preset = "torchvision:../x"'), "model.preset", "must be one of"),
    "width on linear": (document(model='preset = "linear"\nwidth = 2.0'), "model.width", "acts on"),
    "width zero": (document(model='preset = "resnet6"\nwidth = 0'), "model.width", "above 0"),
    "args without target": (document(model='preset = "resnet6"\nargs = { depth = 2 }'), "model.args", "your own"),
    "args nested": (document(model='target = "a:b"\nargs = { x = [1] }'), "model.args", "plain values"),
    "epochs zero": (document(train="epochs = 0"), "train.epochs", "from 1 to"),
    "lr text": (document(train='lr = "fast"'), "train.lr", "must be a number"),
    "lr nan": (document(train="lr = nan"), "train.lr", "must be a number"),
    "lr infinite": (document(train="lr = inf"), "train.lr", "must be a number"),
    "lr zero": (document(train="lr = 0.0"), "train.lr", "above 0"),
    "momentum one": (document(train="momentum = 1.0"), "train.momentum", "below 1"),
    "optimizer unknown": (document(train='optimizer = "sdg"'), "train.optimizer", "did you mean sgd?"),
    "schedule unknown": (document(train='schedule = "linear"'), "train.schedule", "snapshot"),
    "cycles of unequal length": (document(train='epochs = 12\nschedule = "snapshot"'), "train.cycles", "multiple"),
    "cycle within warm-up": (document(train='epochs = 10\nschedule = "snapshot"'), "train.warmup_epochs", "cycle = 2"),
    "warm-up too long": (document(train="epochs = 2\nwarmup_epochs = 3"), "train.warmup_epochs", "never be reached"),
    "validation of images": (document(train='select = "best-validation"'), "train.select", "validation set"),
    "streams of images": (document("[evaluate]\nstreams = 1"), "evaluate.streams", "is for qrnn only"),
    "precision unknown": (document(train='precision = "fp16"'), "train.precision", "bf16"),
    "seed negative": (document("[seeds]\ninit = -1"), "seeds.init", "whole number"),
    "seed of bit": (document("[seeds]\nbit = 1"), "seeds.bit", "has no base seed"),
    "lowlevel unknown": (document('[lowlevel]\nmode = "random"'), "lowlevel.mode", "must be one of"),
    "ulps zero": (document("[bit]\nulps = 0"), "bit.ulps", "from 1"),
    "bootstrap negative": (document("[metrics]\nbootstrap = -5"), "metrics.bootstrap", "whole number"),
    "executor unknown": (document('[dispatch]\nexecutor = "locl"'), "dispatch.executor", "did you mean local?"),
    "devices unknown": (document('[dispatch]\ndevices = "gpu"'), "dispatch.devices", "cuda:0"),
    "devices twice": (document('[dispatch]\ndevices = ["cuda:0", "cuda:0"]'), "dispatch.devices", "different"),
    "slots zero": (document("[dispatch]\nslots_per_device = 0"), "dispatch.slots_per_device", "auto"),
    "no arms": (document(arm=""), "arm", "one or more"),
    "arm is a table": (document(arm='[arm]\nname = "a"\nvary = []'), "arm", "one or more"),
    "arms twice": (document(arm=ARM + ARM), "arm[2].name", "arm[1]"),
    "arm without name": (document(arm='[[arm]]\nvary = ["init"]'), "arm[1].name", "is missing"),
    "arm without vary": (document(arm='[[arm]]\nname = "a"'), "arm[1].vary", "is missing"),
    "arm name escapes": (document(arm='[[arm]]\nname = "a\\u0007"\nvary = []'), "arm[1].name", "printable"),
    "arm name too long": (document(arm=f'[[arm]]\nname = "{"a" * 300}"\nvary = []'), "arm[1].name", "80"),
    "vary text": (document(arm='[[arm]]\nname = "a"\nvary = "init"'), "arm[1].vary", "list of different sources"),
    "vary unknown": (document(arm='[[arm]]\nname = "a"\nvary = ["seed"]'), "arm[1].vary", "shuffle"),
    "vary twice": (document(arm='[[arm]]\nname = "a"\nvary = ["init", "init"]'), "arm[1].vary", "different"),
    "onset of a control": (document(arm='[[arm]]\nname = "a"\nvary = []\nonset = 2'), "arm[1].onset", "nothing varies"),
    "onset of init": (document(arm=ARM + "onset = 5"), "arm[1].onset", "initialised once"),
    "onset too late": (document(arm=SHUFFLE + "onset = 10"), "arm[1].onset", "must be below train.epochs = 10"),
    "onsets twice": (document(arm=SHUFFLE + "onset = [1, 1]"), "arm[1].onset", "different ones"),
    "onsets empty": (document(arm=SHUFFLE + "onset = []"), "arm[1].onset", "whole number"),
    "onset text": (document(arm=SHUFFLE + 'onset = "late"'), "arm[1].onset", "whole number"),
    "ensemble of nothing": (document(arm=ENSEMBLE.format(of="Inti", size=2)), "arm[2].ensemble.of", "did you mean"),
    "ensemble of itself": (document(arm=ENSEMBLE.format(of="Pairs", size=2)), "arm[2].ensemble.of", "no arm that is"),
    "ensemble too large": (document(arm=ENSEMBLE.format(of="Init", size=5)), "arm[2].ensemble.size", "4 replicas"),
    "ensemble without size": (document(arm='[[arm]]\nname = "a"\nensemble = { of = "b" }'), "arm[1].ensemble", "size"),
    "ensemble that varies": (
        document(arm=ENSEMBLE.format(of="Init", size=2) + 'vary = ["bit"]'), "arm[2].vary", "no meaning beside"
    ),
    "text for an image model": (document(data='preset = "pydoc"'), "model.preset", "does not read text"),
    "images for a text model": (document(model='preset = "qrnn"'), "data.preset", "is no text"),
    "text model's unknown setting": (document(data=PYDOC, model=QRNN + "args = { hiden = 3 }"), "model.args", "hiden"),
    "text model's rate": (document(data=PYDOC, model=QRNN + "args = { weight_drop = 1 }"), "model.args", "below 1"),
    "text model's size": (document(data=PYDOC, model=QRNN + "args = { hidden = 0.5 }"), "model.args", "whole"),
    "text with adam": (document(data=PYDOC, model=QRNN, train='optimizer = "adam"'), "train.optimizer", "for qrnn"),
    "text with views": (document("[evaluate]\nflip = true", data=PYDOC, model=QRNN), "evaluate.flip", "for qrnn"),
    "text with noise": (document(data=PYDOC, model=QRNN, train="weight_noise = 0.1"), "train.weight_noise", "for qrnn"),
    "text ensembles": (document(arm=ENSEMBLE.format(of="Init", size=2), data=PYDOC, model=QRNN),
                       "arm[2].ensemble.of", "not kept whole"),
    "text with cka": (document("[metrics]\ncka = true", data=PYDOC, model=QRNN), "metrics.cka", "language models"),
    "images with nt-asgd": (document(train='optimizer = "nt-asgd"'), "train.optimizer", "is for qrnn only"),
    "cka without weights": (document("[metrics]\ncka = true\n[dispatch]\nkeep_weights = false"), "metrics.cka",
                            "keep_weights"),
    "weight noise negative": (document(train="weight_noise = -0.1"), "train.weight_noise", "at least 0"),
    "averaging unknown": (document(train='averaging = "ema"'), "train.averaging", "aswa"),
    "averaged snapshots": (document(train='epochs = 10\naveraging = "swa"\nschedule = "snapshot"\nwarmup_epochs = 1'),
                           "train.averaging", "snapshot schedule"),
    "crops not square": (document("[evaluate]\ncrops = 5"), "evaluate.crops", "square"),
    "crops without a grid": (document("[evaluate]\ncrops = 25"), "evaluate.crops", "choose one of 1, 4, 9"),
    "flip text": (document('[evaluate]\nflip = "yes"'), "evaluate.flip", "true or false"),
    "crossed one": (document(arm=CROSSED.format("init = 3")), "arm[1].crossed", "two of"),
    "crossed unknown": (document(arm=CROSSED.format("init = 3, seed = 3")), "arm[1].crossed", "two of"),
    "crossed too small": (document(arm=CROSSED.format("init = 1, bit = 3")), "arm[1].crossed", "2 or"),
    "crossed and varied": (document(arm=ARM + "crossed = { init = 3, bit = 3 }"), "arm[1].vary", "beside crossed"),
    "crossed replicas": (document(arm='[[arm]]\nname = "a"\nreplicas = 3\ncrossed = { init = 3, bit = 3 }'),
                         "arm[1].replicas", "beside crossed"),
    "arm unknown key": (document(arm=ARM + "varies = 1"), "arm[1].varies", "did you mean vary?"),
    "arm train text": (document(arm=ARM + 'train = "long"'), "arm[1].train", "must be a table"),
    "arm train fault": (document(arm=ARM + "train = { lr = -1 }"), "arm[1].train.lr", "must be a number"),
    "arm train unknown": (document(arm=ARM + "train = { rate = 1 }"), "arm[1].train.rate", "is not a known key"),
    "arm data preset": (document(arm=ARM + 'data = { preset = "mnist" }'), "arm[1].data.preset", "share their test"),
    "bit in bf16": (document(arm='[[arm]]\nname = "a"\nvary = ["bit"]\ntrain = { precision = "bf16" }'),
                    "arm[1].train.precision", "swallows"),
    "bit both ways": (document("[bit]\nulps = 2\nshare = 0.1"), "bit.share", "one of the two"),
    "bit of an arm both ways": (document(arm='[[arm]]\nname = "a"\nvary = ["bit"]\nbit = { ulps = 2, share = 0.1 }'),
                                "arm[1].bit.share", "one of the two"),
    "share too large": (document("[bit]\nshare = 1.5"), "bit.share", "at most 1"),
    "bit that moves nothing": (document(arm='[[arm]]\nname = "a"\nvary = ["init"]\nbit = { ulps = 2 }'),
                               "arm[1].bit.ulps", "does not vary bit"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_broken_protocol_is_refused_with_key_value_and_remedy(name: str) -> None:
    text, key, said = CASES[name]
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(text, file="broken.toml")
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert message.startswith("broken.toml: ")
    assert any(fault.key == key and fault.remedy for fault in caught.value.faults), message
    assert said in message
    assert "\n    -> " in message
    assert all(char.isprintable() or char == "\n" for char in message)


PLAN_CASES: dict[str, tuple[str, str]] = {
    "kernels on cpu": (document('[lowlevel]\nmode = "kernels"'), "lowlevel.mode"),
    "tf32 on cpu": (document(train='precision = "tf32"'), "train.precision"),
    "empty source": (document(arm='[[arm]]\nname = "a"\nvary = ["augment", "stochastic"]'), "arm[1].vary"),
    "order of one": (document(train="batch_size = 1", arm='[[arm]]\nname = "a"\nvary = ["lowlevel"]'), "arm[1].vary"),
}


@pytest.mark.parametrize("name", PLAN_CASES)
def test_protocol_that_does_not_fit_the_cpu_is_refused_by_the_plan(name: str) -> None:
    text, key = PLAN_CASES[name]
    with pytest.raises(ProtocolError) as caught:
        make_plan(parse_protocol(text, file="broken.toml"), device="cpu")
    assert [fault.key for fault in caught.value.faults] == [key]


def test_all_faults_of_a_file_are_reported_at_once() -> None:
    text = document(
        "[seeds]\ninit = -1\n[nothing]\n",
        protocol='name = "../x"\nreplicas = 0',
        data='preset = "cifar"',
        train='lr = "fast"\nepoc = 3',
        arm='[[arm]]\nname = "a"\nvary = 3\n[[arm]]\nname = "a"\nvary = []',
    )
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(text, file="x.toml")
    keys = {fault.key for fault in caught.value.faults}
    expected = {"protocol.name", "protocol.replicas", "data.preset", "train.lr", "train.epoc"}
    assert keys >= expected | {"seeds.init", "nothing", "arm[1].vary", "arm[2].name"}
    assert "x.toml: 9 faults, nothing was trained" in str(caught.value)


@pytest.mark.parametrize("override", ["train.epochs", "epochs=3", "train.epoch=3", "nowhere.x=1", "=", "", "train.=1"])
def test_override_that_names_no_key_is_refused(override: str) -> None:
    with pytest.raises(ProtocolError, match=r"--set .*\n    -> "):
        parse_protocol(document(), file="x.toml", overrides=(override,))


def test_override_that_is_mistyped_names_the_nearest_key_and_where_all_are() -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(document(), file="x.toml", overrides=("train.epoch=3",))
    (fault,) = caught.value.faults
    assert fault.remedy == "did you mean train.epochs? `nondet-tui keys` lists all"


@pytest.mark.parametrize("override", ["train.epochs=many", "train.lr=[1", "protocol.name=../x", "protocol.name=\udcff"])
def test_override_value_is_judged_like_the_files(override: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(document(), file="x.toml", overrides=(override,))
    assert [fault.key for fault in caught.value.faults] == [override.partition("=")[0]]
    assert all(char.isprintable() or char == "\n" for char in str(caught.value))


def test_override_takes_toml_values_and_plain_words() -> None:
    overrides = ("train.epochs=3", "data.preset=mnist", 'dispatch.devices=["cuda:1"]', "lowlevel.mode = order")
    protocol = parse_protocol(document(), file="x.toml", overrides=overrides)
    assert protocol.arms[0].train.epochs == 3
    assert protocol.arms[0].data.preset == "mnist"
    assert protocol.dispatch.devices == ("cuda:1",)
    assert protocol.lowlevel.mode == "order"


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    binary, large = tmp_path / "binary.toml", tmp_path / "large.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    large.write_bytes(b"#" * 1_000_001)
    cases = {
        tmp_path / "no.toml": "does not exist",
        tmp_path: "is a folder",
        binary: "UTF-8",
        large: "larger than",
        Path("x\0y"): "cannot be read",
        Path("n" * 300): "cannot be read",
    }
    for path, said in cases.items():
        with pytest.raises(ProtocolError, match=said) as caught:
            load_protocol(path)
        assert "    -> " in str(caught.value)


def test_deeply_nested_document_is_refused() -> None:
    with pytest.raises(ProtocolError):
        parse_protocol("x = " + "[" * 5000, file="x.toml")


@pytest.mark.slow
@given(st.text())
def test_any_text_is_a_protocol_or_a_fault(text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(text, file="x.toml")
    assert all(char.isprintable() or char == "\n" for char in str(caught.value))


values = st.recursive(
    st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=5,
)


KEYS = sorted((section, key) for section, fields in SECTIONS.items() for key in fields)


@given(place=st.sampled_from(KEYS), value=values)
def test_any_value_of_any_key_is_taken_or_a_fault_and_never_a_crash(place: tuple[str, str], value: object) -> None:
    section, key = place
    shown = show_value(value)
    assert shown.isprintable()
    assert len(shown) < 100
    others = [line for line in GOOD.get(section, "").splitlines() if not line.startswith(f"{key} ")]
    text, said = document(**{section: "\n".join([*others, f"{key} = {_toml(value)}"])}), ""
    try:
        parse_protocol(text, file="x.toml")
    except ProtocolError as error:
        said = str(error)
    assert all(char.isprintable() or char == "\n" for char in said)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(char):08x}" if not 0xD800 <= ord(char) < 0xE000 else "" for char in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dict):
        keys = list(dict.fromkeys(_toml(key) for key in value))
        return "{" + ", ".join(f"{key} = 1" for key in keys) + "}"
    return repr(value)


def test_printable_escapes_what_a_terminal_would_obey() -> None:
    assert printable("a\x1b[31m\u202eb\n") == "a\\x1b[31m\\u202eb\\n"


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000], ids=["digits", "brackets"])
def test_values_beyond_the_parsers_limits_are_faults(value: str) -> None:
    text = "[protocol]\nname = 'x'\n[data]\npreset = 'digits'\n[model]\npreset = 'linear'\n"
    arm = "[train]\nepochs = 1\n[[arm]]\nname = 'a'\nvary = ['init']\n"
    with pytest.raises(ProtocolError, match="not valid TOML"):
        parse_protocol(text.replace("'x'", f"'x'\nreplicas = {value}") + arm, file="p.toml")
    with pytest.raises(ProtocolError, match=r"protocol\.replicas"):
        parse_protocol(text + arm, file="p.toml", overrides=(f"protocol.replicas={value}",))
