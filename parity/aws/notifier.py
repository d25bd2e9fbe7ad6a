"""Messages to SNS topics and SQS queues: those of lifecycle hooks, of groups and of alarms."""

from __future__ import annotations

import json
import logging
import queue
import threading
from typing import Any, Protocol
from urllib.parse import urlencode

from parity.aws.others import signed
from parity.aws.wire.answers import Reply
from parity.model.scaling.world import Notify

#: SNS cuts what is longer; its limit.
SUBJECT_MAX = 100
#: How long one message may hold up the next: moto waits for subscribers over HTTP, however long they take.
PATIENCE_S = 5.0

log = logging.getLogger(__name__)


class Services(Protocol):
    """What answers for SNS and SQS."""

    def request(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Reply:
        """Answer a request."""


class Notifier:
    """Delivers messages one after the other, beside whoever has them sent.

    Args:
        services: SNS and SQS.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._waiting: queue.SimpleQueue[Notify | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        self._thread.start()

    def __call__(self, message: Notify) -> None:
        """Take a message to be delivered."""
        self._waiting.put(message)

    def close(self) -> None:
        """Deliver what is waiting, and end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (message := self._waiting.get()) is not None:
            delivery = threading.Thread(target=self._try, args=(message,), name="delivery", daemon=True)
            delivery.start()
            delivery.join(PATIENCE_S)
            if delivery.is_alive():
                log.warning("a message to %s is not taken after %.0f s; others go on", message.target_arn, PATIENCE_S)

    def _try(self, message: Notify) -> None:
        try:
            reply = self._deliver(message)
        except ValueError as problem:
            log.warning("a message to %s was not delivered: %s", message.target_arn, problem)
            return
        if reply.status != 200:
            log.warning("a message to %s was not taken: %s", message.target_arn, reply.body.decode(errors="replace"))

    def _deliver(self, message: Notify) -> Reply:
        _, _, service, region, account, name = _split(message.target_arn)
        text = json.dumps(message.message)
        headers = [("Host", "localhost"), *signed(service, region).items()]
        if service == "sns":
            form = {"Action": "Publish", "TopicArn": message.target_arn, "Message": text}
            if about := subject(message.message):
                form["Subject"] = about[:SUBJECT_MAX]
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
            return self._services.request("POST", "/", headers, urlencode(form).encode())
        headers += [("Content-Type", "application/x-amz-json-1.0"), ("X-Amz-Target", "AmazonSQS.SendMessage")]
        content = {"QueueUrl": f"http://localhost/{account}/{name}", "MessageBody": text}
        return self._services.request("POST", "/", headers, json.dumps(content).encode())


def _split(arn: str) -> list[str]:
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] not in {"sns", "sqs"}:
        raise ValueError("it is not the ARN of a topic or a queue")
    return parts


def subject(message: dict[str, Any]) -> str:
    """What SNS heads a message with, as Auto Scaling and CloudWatch do."""
    match message:
        case {"LifecycleTransition": str(transition), "EC2InstanceId": str(instance)}:
            action = transition.rpartition("_")[2]
            return f"Auto Scaling:  Lifecycle action '{action}' for instance {instance} in progress."
        case {"Event": str(event), "AutoScalingGroupName": str(group)}:
            happened = event.removeprefix("autoscaling:").removeprefix("EC2_INSTANCE_").lower().replace("_", " ")
            return f'Auto Scaling: {happened} for group "{group}"'
        case {"AlarmName": str(alarm), "NewStateValue": str(state), "Region": str(region)}:
            return f'{state}: "{alarm}" in {region}'
        case _:
            return ""
