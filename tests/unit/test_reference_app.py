"""The reference application's pure parts: what it reads on a line, in a message and in its environment."""

import importlib.util
import io
import itertools
import sys
import tarfile
import time
from pathlib import Path

import pytest

APPLICATION = Path(__file__).resolve().parents[2] / "compose" / "images" / "app"


@pytest.fixture(scope="module")
def settings():
    """The application's settings module, which lives beside its image and in no package."""
    sys.path.insert(0, str(APPLICATION))
    try:
        import settings

        yield settings
    finally:
        sys.path.remove(str(APPLICATION))
        sys.modules.pop("settings", None)


class TestJob:
    def test_a_line_is_an_id_or_an_id_and_a_kind(self, settings):
        assert settings.Job.from_line("a-1\n") == settings.Job(id="a-1")
        assert settings.Job.from_line("  a-1   poison \n") == settings.Job(id="a-1", kind="poison")

    def test_an_empty_line_is_no_job(self, settings):
        assert settings.Job.from_line(" \n") is None

    def test_a_third_word_is_an_error(self, settings):
        with pytest.raises(ValueError, match="a b c"):
            settings.Job.from_line("a b c\n")

    def test_a_job_survives_its_message(self, settings):
        job = settings.Job(id="a-1", kind="crash")
        assert settings.Job.from_message("a-1", job.to_body()) == job

    @pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b"\xff\xfe\x00", b'{"kind": null}'])
    def test_the_message_id_names_the_job_whatever_the_body(self, settings, body):
        assert settings.Job.from_message("a-1", body) == settings.Job(id="a-1")

    def test_the_body_names_the_job_where_the_message_does_not(self, settings):
        assert settings.Job.from_message(None, b'{"job": 7, "kind": "slow"}') == settings.Job(id="7", kind="slow")

    def test_a_message_that_names_no_job_is_none(self, settings):
        assert settings.Job.from_message(None, b"{}") is None


class TestDurationRange:
    def test_one_number_is_always_drawn(self, settings):
        assert settings.DurationRange.parse("0.05").draw() == 0.05

    def test_a_range_is_drawn_from_within(self, settings):
        duration = settings.DurationRange.parse("0.1..0.2")
        assert all(0.1 <= duration.draw() <= 0.2 for _ in range(100))

    @pytest.mark.parametrize("text", ["", "x", "1..", "2..1", "-1", "nan", "0.1..0.2..0.3"])
    def test_anything_else_is_an_error(self, settings, text):
        with pytest.raises(ValueError):  # noqa: PT011 - float's own message differs between Pythons
            settings.DurationRange.parse(text)


class TestReconnecting:
    def test_every_node_has_its_turn(self, settings):
        urls = ["one", "two", "three"]
        assert list(itertools.islice(settings.rotation(urls), 4)) == ["one", "two", "three", "one"]
        assert list(itertools.islice(settings.rotation(urls, start=5), 3)) == ["three", "one", "two"]

    def test_the_wait_grows_to_a_bound(self, settings):
        assert [settings.backoff_s(failures) for failures in (0, 1, 2, 3)] == [0.0, 0.1, 0.2, 0.4]
        assert settings.backoff_s(10_000) == 1.0


class TestBrokerSettings:
    def test_a_quorum_queue_has_a_delivery_limit_and_a_classic_one_cannot(self, settings):
        quorum = settings.BrokerSettings.from_environment(
            {"AMQP_URLS": "amqp://one, amqp://two", "DELIVERY_LIMIT": "3"}
        )
        classic = settings.BrokerSettings.from_environment({"AMQP_URLS": "amqp://one", "QUEUE_TYPE": "classic"})
        assert quorum.urls == ["amqp://one", "amqp://two"]
        assert quorum.queue_arguments() == {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": "jobs.dead",
            "x-delivery-limit": 3,
        }
        assert "x-delivery-limit" not in classic.queue_arguments()
        assert classic.dead_letter_arguments() == {"x-queue-type": "classic"}

    def test_a_queue_that_drops_what_nothing_takes(self, settings):
        dropping = settings.BrokerSettings.from_environment(
            {"AMQP_URLS": "amqp://one", "DEAD_LETTER_QUEUE": "", "MAX_LENGTH": "20", "MESSAGE_TTL_S": "1.5"}
        )
        assert dropping.queue_arguments() == {
            "x-queue-type": "quorum",
            "x-delivery-limit": 20,
            "x-max-length": 20,
            "x-message-ttl": 1500,
        }

    @pytest.mark.parametrize(
        "environment",
        [
            {},
            {"AMQP_URLS": " , "},
            {"AMQP_URLS": "amqp://one", "QUEUE_TYPE": "mirrored"},
            {"AMQP_URLS": "amqp://one", "DELIVERY_LIMIT": "many"},
            {"AMQP_URLS": "amqp://one", "HEARTBEAT_S": "-1"},
        ],
    )
    def test_a_setting_that_makes_no_sense_is_named(self, settings, environment):
        with pytest.raises(settings.SettingError, match=r"AMQP_URLS|QUEUE_TYPE|DELIVERY_LIMIT|HEARTBEAT_S"):
            settings.BrokerSettings.from_environment(environment)

    @pytest.mark.parametrize(("text", "expected"), [("1", True), ("0", False), ("", True)])
    def test_a_switch_is_one_or_nought(self, settings, text, expected):
        assert settings.switch({"IDEMPOTENT": text}, "IDEMPOTENT", default=True) is expected


@pytest.fixture
def revision(tmp_path, monkeypatch):
    """The application's revision module, as if it were in a folder of its own."""
    copy = tmp_path / "app" / "revision.py"
    copy.parent.mkdir()
    copy.write_text((APPLICATION / "revision.py").read_text())
    spec = importlib.util.spec_from_file_location("revision_copy", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv("REVISION", raising=False)
    return module


class TestRevision:
    @pytest.fixture
    def repository(self, tmp_path):
        """What the stack's repository serves: one commit, as `main`."""
        served = tmp_path / "served"
        served.mkdir()
        (served / "main").write_text("c0ffee\n")
        (served / "c0ffee").write_text("c0ffee\n")
        with tarfile.open(served / "c0ffee.tar", "w") as archive:
            body = b"print('new')\n"
            entry = tarfile.TarInfo("worker.py")
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
        return served.as_uri()

    def test_an_image_as_it_was_built_says_so(self, revision):
        assert revision.current() == "as-built"

    def test_a_variable_says_more(self, revision, monkeypatch):
        monkeypatch.setenv("REVISION", "two")
        assert revision.current() == "two"

    def test_what_was_put_in_place_wins(self, revision, monkeypatch, repository):
        monkeypatch.setenv("REVISION", "two")
        assert revision.put_in_place("main", repository) == "c0ffee"
        assert revision.current() == "c0ffee"
        assert (revision.PLACE / "worker.py").read_text() == "print('new')\n"

    def test_what_is_not_there_changes_nothing(self, revision, repository, monkeypatch, capsys):
        monkeypatch.setenv("REPOSITORY", repository)
        monkeypatch.setattr(sys, "argv", ["revision.py", "nowhere"])
        assert revision.main() == 1
        assert "cannot put nowhere in place" in capsys.readouterr().err
        assert revision.current() == "as-built"


class TestBurning:
    @pytest.fixture
    def burn(self):
        spec = importlib.util.spec_from_file_location("burning", APPLICATION / "burning.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.burn

    @pytest.mark.parametrize("processor_s", [0, 0.05])
    def test_it_takes_the_processor_time_and_hardly_more(self, burn, processor_s):
        """Of its own thread: what others take meanwhile does not make a job cheaper."""
        before_s = time.thread_time()
        burn(processor_s)
        assert processor_s <= time.thread_time() - before_s < processor_s + 0.02
