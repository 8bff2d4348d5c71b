"""Code in Keras files is told and never run; ordinary classes by their modules are left alone."""

from __future__ import annotations

import base64
import copy
import json
import marshal
import subprocess
import sys
import zipfile

import keras_cases as cases
import pytest
from together import folder, together

import gatewise as gw


def lambda_node(sentinel):
    code = compile(f"__import__('os').remove({str(sentinel)!r})", "evil", "eval")
    text = base64.b64encode(marshal.dumps(code)).decode()
    config = {"name": "evil", "function": [text, None, None], "function_type": "lambda", "arguments": {}}
    return {"class_name": "Lambda", "name": "evil", "config": config, "inbound_nodes": [[["lstm_1", 0, 0, {}]]]}


def with_lambda(tmp_path):
    source = cases.KERAS / "keras-2.2.4_tf-1.10.1/lstm_sigmoid.h5"
    sentinel = tmp_path / "sentinel"
    sentinel.write_text("alive")
    config = copy.deepcopy(cases.config_of(source))
    config["config"]["layers"].append(lambda_node(sentinel))
    config["config"]["output_layers"] = [["evil", 0, 0]]
    return cases.with_config(source, tmp_path / "evil.h5", config), sentinel


@together("path", cases.FILES, of=folder, said=cases.said)
def test_an_ordinary_file_runs_nothing(path):
    assert [finding for finding in cases.diagnosed(path) if finding.severity == "unsafe"] == []


def test_a_lambdas_code_is_told_with_the_names_in_it_and_not_run(tmp_path):
    path, sentinel = with_lambda(tmp_path)
    [finding] = [finding for finding in gw.diagnose(path) if finding.code == "GW605"]
    assert (finding.severity, finding.where) == ("unsafe", "evil")
    assert "remove" in finding.what
    assert "__import__" in finding.what
    with pytest.raises(gw.GatewiseError):
        gw.repair(path, tmp_path / "out.keras")
    assert sentinel.read_text() == "alive"


@pytest.mark.framework("keras")
def test_keras_3_refuses_the_lambda_with_the_words_that_are_predicted(tmp_path):
    from gatewise.doctor import prediction

    path, sentinel = with_lambda(tmp_path)
    happened, _ = cases.outcome_in_keras(path, cases.KERAS / "keras-2.2.4_tf-1.10.1/lstm_sigmoid.h5")
    assert happened.startswith(prediction(gw.diagnose(path), "keras==3.15").error)
    assert sentinel.exists()


CALLS = {
    "a function of the standard library": ({"module": "os", "class_name": "function", "config": "system"}, "os.system"),
    "Keras's own switch of its safety": (
        {"module": "keras.config", "class_name": "function", "config": "enable_unsafe_deserialization"},
        "keras.config.enable_unsafe_deserialization",
    ),
    "a download": ({"module": "keras.utils", "class_name": "function", "config": "get_file"}, "keras.utils.get_file"),
    "a class of another package": (
        {"module": "mypackage.layers", "class_name": "Attention", "config": {}},
        "mypackage.layers.Attention",
    ),
}


@pytest.mark.parametrize(("node", "called"), CALLS.values(), ids=CALLS)
def test_what_a_config_names_to_be_called_is_told(tmp_path, node, called):
    source, path = cases.KERAS / "keras-3/lstm.keras", tmp_path / "named.keras"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            if member == "config.json":
                config = json.loads(data)
                config["config"]["layers"][1]["config"]["activation"] = node
                data = json.dumps(config).encode()
            new.writestr(member, data)
    found = [finding for finding in gw.diagnose(path) if finding.code == "GW606"]
    assert [called in finding.what for finding in found] == [True]
    assert found[0].severity == "unsafe"


def test_diagnosis_and_repair_import_no_framework(tmp_path):
    path = cases.KERAS / "keras-2.2.4_tf-1.10.1/cudnn_bidir_lstm.h5"
    program = (
        "import sys, gatewise as gw\n"
        f"gw.diagnose({str(path)!r}, target='keras==3'); gw.repair({str(path)!r}, {str(tmp_path / 'o.keras')!r})\n"
        "print([name for name in ('keras', 'torch', 'tensorflow', 'jax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
