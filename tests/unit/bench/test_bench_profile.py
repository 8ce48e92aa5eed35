from bench.profile import parse_folded, short, text

MAIN = "main (trunkline/runtime/process.py:99)"
RUN = "run (services/edge/app.py:5)"
WRITE = "write (x/trunkline/runtime/http_server.py:2)"
FOLDED = f"{MAIN};{RUN};{WRITE} 6\n{MAIN};{RUN} 3\n{MAIN};{RUN};{RUN} 1\n\n"


def test_own_samples_belong_to_the_innermost_frame() -> None:
    profile = parse_folded(FOLDED)
    assert profile.samples == 10
    assert profile.own == {"write (runtime/http_server.py:2)": 6, "run (services/edge/app.py:5)": 4}


def test_a_frame_that_calls_itself_counts_once() -> None:
    assert parse_folded(FOLDED).under["run (services/edge/app.py:5)"] == 10


def test_shared_folders_are_left_out() -> None:
    assert short("f (/venv/lib/python3.11/site-packages/nats/aio/client.py:1)") == "f (nats/aio/client.py:1)"
    assert short("<module>") == "<module>"


def test_the_text_has_shares_of_the_whole() -> None:
    shown = text("edge", parse_folded(FOLDED), top=1)
    assert "60.0%  write (runtime/http_server.py:2)" in shown
    assert "edge: 10 samples" in shown
