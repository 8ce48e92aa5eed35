"""The model's public name in answers and events."""

import pytest

from trunkline.protocol.renaming import rename_model, rename_model_inside


@pytest.mark.parametrize("key", ["model", "modelVersion"])
def test_renaming_touches_the_top_level_member_alone(key: str) -> None:
    body = b' {"tool":{"KEY":"up"}, "KEY" : "up" ,"big":12345678901234567890.10}'.replace(b"KEY", key.encode())
    assert rename_model(body, 'p"', key=key) == body.replace(b' : "up"', rb' : "p\""')
    assert rename_model(body, "up", key=key) is body
    assert rename_model(b'{"a":1}', "p", key=key) == b'{"a":1}'


def test_only_an_objects_own_model_is_renamed_inside_of_an_event() -> None:
    data = b'{"model":"up","response": {"tools":[{"model":"up"}],"model" : "up", "n":1.10}, "other":{"model":"up"}}'
    assert rename_model_inside(data, "response", b'"pub"') == data.replace(b'"model" : "up"', b'"model" : "pub"')
    assert rename_model_inside(b'{"response":"model"}', "response", b'"pub"') == b'{"response":"model"}'
