"""What is removed or repaired is what nobody uses, whatever other processes do while it is looked at."""

from __future__ import annotations

import pytest
from lock_holder import holder_of

from parity.stack import owner, reaper
from parity.stack.amis import LABEL_MADE


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """An engine with the labels that a test says, and what was done to the stacks there."""

    class Engine:
        def __init__(self):
            self.labels = []
            self.done = []
            self.left_by_runs = []
            self.images = []
            #: What happens between the look at the engine and what follows from it.
            self.meanwhile = lambda: None

        def has(self, stack_id, *, to_keep):
            self.labels.append(
                {
                    owner.LABEL_STACK: stack_id,
                    owner.LABEL_LOCK: str(owner.lock_path(stack_id)),
                    owner.LABEL_KEPT: "1" if to_keep else "0",
                }
            )
            return owner.lock_path(stack_id)

        def look(self):
            yield from self.labels
            self.meanwhile()

        def remove(self, stack_id, *, folder):
            self.done.append(f"removed {stack_id}")
            assert owner.is_held(str(folder / "lock")), "nobody may begin to use it now"
            return [f"container of {stack_id}"]

    monkeypatch.setenv("PARITY_STATE_DIR", str(tmp_path / "state"))
    engine = Engine()
    monkeypatch.setattr(reaper, "_labels", engine.look)
    monkeypatch.setattr(reaper, "remove_stack", engine.remove)
    monkeypatch.setattr(reaper, "_of_runs", lambda _: engine.left_by_runs)
    monkeypatch.setattr(reaper, "_repair", lambda stack: engine.done.append(f"repaired {stack.stack_id}") or [])
    monkeypatch.setattr(reaper, "_images_made", lambda: list(engine.images))
    return engine


@pytest.fixture
def hold():
    """Have other processes hold locks; says how to let go."""
    processes = []

    def begin(path):
        processes.append(holder_of(path))
        return processes[-1].communicate

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def test_what_nobody_uses_is_removed(engine):
    engine.has("orphan", to_keep=False)
    assert reaper.reap() == ["container of orphan"]


def test_a_kept_stack_that_is_half_up_and_nobodys_is_removed(engine):
    engine.has("halfway", to_keep=True)
    assert reaper.reap() == ["container of halfway"]


def test_what_is_in_use_stays(engine, hold):
    hold(engine.has("used", to_keep=False))
    assert reaper.reap() == []
    assert engine.done == []


def test_a_kept_stack_stays_but_for_everything(engine):
    engine.has("kept", to_keep=True)
    owner.mark_kept("kept")
    assert reaper.reap() == []
    assert reaper.reap(everything=True) == ["container of kept"]


def test_a_kept_stack_is_repaired_where_a_run_left_something(engine):
    engine.has("kept", to_keep=True)
    owner.mark_kept("kept")
    engine.left_by_runs = ["a container"]
    reaper.reap()
    assert engine.done == ["repaired kept"]


def test_a_stack_that_comes_up_while_it_is_looked_at_stays(engine, hold):
    """Seen before it was marked as kept, looked at when its `parity up` was over."""
    let_go = hold(engine.has("new", to_keep=True))

    def comes_up():
        owner.mark_kept("new")
        let_go()

    engine.meanwhile = comes_up
    assert reaper.reap() == []
    assert engine.done == []


def test_the_folder_of_a_stack_that_comes_up_while_it_is_looked_at_stays(engine, hold):
    """Not on the engine when that was looked at, and there and in nobody's use a moment later."""
    let_go = hold(owner.lock_path("new"))

    def comes_up():
        owner.mark_kept("new")
        let_go()

    engine.meanwhile = comes_up
    reaper.reap()
    assert owner.is_marked_kept(owner.state_folder() / "new")


class Image:
    """An image that was made of an instance."""

    def __init__(self, engine, stack_id):
        self.engine = engine
        self.labels = {LABEL_MADE: stack_id}
        self.tags = [f"made-in-{stack_id}"]

    def remove(self):
        self.engine.done.append(f"removed {self.tags[0]}")


def test_what_was_made_of_the_instances_of_a_stack_that_is_gone_goes(engine, hold):
    hold(engine.has("used", to_keep=False))
    engine.images += [Image(engine, "gone"), Image(engine, "used")]
    assert reaper.reap() == ["image made-in-gone"]
    assert engine.done == ["removed made-in-gone"]


def test_what_is_made_while_it_is_looked_stays(engine):
    """Of a stack that came after the look at the stacks."""
    engine.meanwhile = lambda: engine.images.append(Image(engine, "new"))
    assert reaper.reap() == []


def test_the_folder_of_a_stack_that_is_gone_goes(engine):
    with owner.held(owner.lock_path("gone")):
        pass
    reaper.reap()
    assert list(owner.state_folder().iterdir()) == []
