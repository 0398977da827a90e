"""Settings are read once, named when they are wrong, and never show a secret."""

import pytest

from millicent.config.settings import Settings, read_settings, unknown_variables
from millicent.kit.errors import BadInput


def test_without_variables_everything_has_its_default(tmp_path):
    chosen = read_settings({})

    assert chosen == Settings()
    assert read_settings({"MILLICENT_HOME": str(tmp_path)}).lake_root == str(tmp_path / "lake")
    assert read_settings({"MILLICENT_LAKE": "s3://bucket/x"}).lake_root == "s3://bucket/x"


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("MILLICENT_WORKERS", "two", "MILLICENT_WORKERS: 'two' is not a whole number. Unset it to use the default."),
        ("MILLICENT_WORKERS", "-1", "MILLICENT_WORKERS: '-1' is not a whole number. Unset it to use the default."),
        ("MILLICENT_HTTP_PORT", "²", "MILLICENT_HTTP_PORT: '²' is not a whole number. Unset it to use the default."),
        (
            "MILLICENT_LOG_LEVEL",
            "loud",
            "MILLICENT_LOG_LEVEL: 'loud' is not one of debug, info, warning, error. Unset it to use the default.",
        ),
        (
            "MILLICENT_LAKE_OPTIONS",
            '["hunter2"]',
            'MILLICENT_LAKE_OPTIONS: not a JSON object. Write {"NAME": "value", ...}.',
        ),
        (
            "MILLICENT_LAKE_OPTIONS",
            "{hunter2",
            'MILLICENT_LAKE_OPTIONS: not a JSON object. Write {"NAME": "value", ...}.',
        ),
    ],
)
def test_a_wrong_setting_is_named_with_its_cure(variable, text, said):
    with pytest.raises(BadInput) as refusal:
        read_settings({variable: text})

    assert str(refusal.value) == said


def test_options_of_the_object_store_are_texts():
    chosen = read_settings({"MILLICENT_LAKE_OPTIONS": '{"AWS_REGION": "eu-west-3", "timeout": 30}'})

    assert chosen.storage_options == {"AWS_REGION": "eu-west-3", "timeout": "30"}


def test_a_variable_that_only_looks_like_ours_is_noticed():
    assert unknown_variables({"MILLICENT_HOEM": "/x", "MILLICENT_HOME": "/x", "HOME": "/"}) == ["MILLICENT_HOEM"]
