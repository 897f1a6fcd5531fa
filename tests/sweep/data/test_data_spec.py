import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.sweep import DataSpec, load_data
from isoloss.sweep.data import names
from isoloss.sweep.data.catalogue import CATALOGUE

TEACHER = {"name": "teacher", "dimension": 4, "teacher_width": 8, "teacher_depth": 2}


@pytest.mark.parametrize(
    ("fields", "piece"),
    [
        ({"name": "fashon-mnist"}, "did you mean 'fashion-mnist'"),
        ({"name": 3}, "name = 3"),
        ({"name": "stdlib", "path": "x"}, "path = 'x': stdlib does not use it"),
        ({"name": "stdlib", "seed": 1}, "seed = 1: stdlib does not use it"),
        ({"name": "stdlib", "input_noise": 0.1}, "stdlib does not use it"),
        ({"name": "fashion-mnist", "dimension": 3}, "fashion-mnist does not use it"),
        ({"name": "text"}, "text needs path"),
        ({"name": "text", "path": ""}, "must be text, not empty"),
        ({"name": "text", "path": "a\0b"}, "must be text"),
        ({"name": "teacher", "dimension": 3}, "teacher needs teacher_width"),
        (TEACHER | {"exponent": 1.0}, "teacher does not use it"),
        (TEACHER | {"superclasses": 2}, "teacher does not use it"),
        (TEACHER | {"inputs": "cauchy"}, "uniform, normal"),
        (TEACHER | {"dimension": -1}, "dimension = -1"),
        (TEACHER | {"dimension": True}, "dimension = True"),
        (TEACHER | {"dimension": 2.5}, "dimension = 2.5"),
        (TEACHER | {"teacher_depth": 1000}, "0 to 100"),
        (TEACHER | {"label_noise": float("nan")}, "label_noise = nan"),
        (TEACHER | {"label_noise": -1}, "label_noise = -1"),
        (TEACHER | {"seed": -1}, "seed = -1"),
        ({"name": "mnist1d", "label_noise": 1.5}, "a chance is at most 1"),
        ({"name": "mnist1d", "superclasses": 1}, "2 or more"),
        ({"name": "mnist1d", "grouping": "stated"}, "give superclasses"),
        ({"name": "mnist1d", "grouping": "odd", "superclasses": 2}, "random, stated"),
        ({"name": "mnist1d", "selection": ""}, "must be text"),
        ({"name": "images", "path": "x", "channels": 2}, "1 for grey or 3"),
        ({"name": "spectrum", "dimension": 9}, "spectrum needs exponent"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields, piece):
    with pytest.raises(InputError, match=piece):
        DataSpec(**fields)


def test_unknown_fields_are_refused_by_name():
    with pytest.raises(InputError, match="unknown field 'sed'"):
        DataSpec.from_dict({"name": "mnist1d", "sed": 1})
    with pytest.raises(InputError, match="name"):
        DataSpec.from_dict({})


@given(
    noise=st.floats(0, 10), label=st.floats(0, 10), seed=st.integers(0, 2**62), k=st.integers(1, 99)
)
def test_plain_values_go_there_and_back(noise, label, seed, k):
    spec = DataSpec(**TEACHER, input_noise=noise, label_noise=label, seed=seed, examples=k)
    assert DataSpec.from_dict(spec.to_dict()) == spec


def test_a_whole_number_for_a_real_one_is_the_same_spec():
    whole, real = DataSpec(name="mnist1d", input_noise=1), DataSpec(name="mnist1d", input_noise=1.0)
    assert repr(whole.to_dict()) == repr(real.to_dict())


def test_every_field_of_the_catalogue_is_one_of_the_spec_and_is_used_somewhere():
    fields = {f.name for f in dataclasses.fields(DataSpec)} - {"name"}
    assert set().union(*(entry.fields for entry in CATALOGUE.values())) == fields


def test_the_list_names_every_set():
    listed = names()
    assert [found.name for found in listed] == list(CATALOGUE)
    assert all(found.what and found.split and found.source for found in listed)
    assert {f.name for f in listed if not f.needs and f.present} >= {"stdlib", "mnist1d"}


def test_data_of_a_program_are_not_loaded():
    with pytest.raises(InputError, match="hand them to the trainer"):
        load_data(DataSpec(name="given"))
