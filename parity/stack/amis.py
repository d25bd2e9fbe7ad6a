"""Machine images: an image of containers by its tag, under an id that is a hash of the tag."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import docker.errors
from docker.models.containers import Container
from docker.models.images import Image

from parity.stack import boot, owner
from parity.stack.engine import Filters, ListedImage, engine, listed_images, translated

_FRESH_S = 1.0
#: On images that were made from instances: the stack that they go with.
LABEL_MADE = f"{owner.LABEL}.made-in"
LABEL_MADE_ON = f"{owner.LABEL}.made-on"


class Amis:
    """The images that instances can be started from.

    Args:
        stack_id: Whose instances images are made of.
        id_of: The id of a tag.
        tag_of: The tag that an image to be made is to have, by its id.
    """

    def __init__(self, stack_id: str, *, id_of: Callable[[str], str], tag_of: Callable[[str], str]) -> None:
        self._stack_id = stack_id
        self._id_of = id_of
        self._tag_of = tag_of
        self._tags: dict[str, str] = {}
        #: What was found a moment ago: many instances are launched from one image at once.
        self._found: dict[str, tuple[float, Image]] = {}

    def tags(self) -> dict[str, str]:
        """The engine's tags with the digests that they stand for now."""
        with translated("list the images"):
            found = {tag: image.id for image in listed_images() for tag in image.tags}
        self._tags = {self._id_of(tag): tag for tag in found}
        return found

    def find(self, image_id: str) -> Image | None:
        """What an image id, or a tag, stands for, a moment ago at the earliest; None where there is no such image."""
        at_s, image = self._found.get(image_id, (-_FRESH_S, None))
        if image is not None and time.monotonic() - at_s < _FRESH_S:
            return image
        tag = self._tag(image_id)
        with translated(f"look for the image {image_id}"):
            try:
                image = engine().images.get(tag)
            except (docker.errors.ImageNotFound, docker.errors.NullResource):
                self._found.pop(image_id, None)
                return None
        self._found[image_id] = time.monotonic(), image
        return image

    def make(self, image_id: str, container: Container, *, service: dict[str, Any]) -> Image:
        """Make an image of an instance, which runs the command that the instance ran once it was booted.

        Args:
            image_id: Its id, chosen already.
            container: The instance's.
            service: The compose service that the instance is of.

        Raises:
            EngineError: The engine refuses.
        """
        # The engine adds the container's own labels. Left as they are, whatever is started from the image later would
        # be taken for a part of this stack.
        labels = {key: "" for key in container.labels if key.startswith(owner.LABEL)}
        labels |= {LABEL_MADE: self._stack_id, LABEL_MADE_ON: owner.host_name()}
        repository, _, version = self._tag_of(image_id).partition(":")
        with translated(f"make an image of {container.name}"):
            command = boot.argv(service, engine().images.get(container.attrs["Image"]))
            made: Image = container.commit(
                repository=repository, tag=version, conf={"Labels": labels, "Entrypoint": [], "Cmd": command}
            )
        return made

    def remove(self, image_id: str) -> None:
        """Remove an image that was made here; others stay, and so does one that an instance runs, without its tag."""
        self._found.pop(image_id, None)
        image = self.find(image_id)
        self._found.pop(image_id, None)
        if image is not None and image.labels.get(LABEL_MADE) == self._stack_id:
            with translated(f"remove the image {image_id}"), contextlib.suppress(docker.errors.ImageNotFound):
                engine().images.remove(self._tag_of(image_id), force=True)

    def _tag(self, image_id: str) -> str:
        if not image_id.startswith("ami-"):
            return image_id
        if image_id not in self._tags:
            self.tags()
        return self._tags.get(image_id, image_id)


def made_images(stack_id: str) -> list[ListedImage]:
    """The images that were made of a stack's instances."""
    chosen: Filters = {"label": f"{LABEL_MADE}={stack_id}"}
    with translated("list the images that were made"):
        return listed_images(filters=chosen)
