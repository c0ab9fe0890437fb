"""Images for the platform that was asked for."""

from __future__ import annotations

from daemonless.errors import NotFound
from daemonless.oci.image import is_suitable, platform_of_config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.images.store import Image, ImageStore
    from daemonless.oci.image import Platform


def is_for(image: Image, wanted: Platform | None) -> bool:
    """Return whether an image is for the platform that was asked for, if any was."""
    stated = platform_of_config(image.config) if wanted else None
    return wanted is None or stated is None or is_suitable(wanted, stated)


def check_platform(image: Image, name: str, wanted: Platform | None) -> None:
    """Raise NotFound if an image, called `name`, is for another platform than was asked for."""
    if not is_for(image, wanted):
        raise NotFound(
            f"image {name} is for {platform_of_config(image.config)}, not for {wanted}",
            f"fetch the other one: daemonless pull --platform {wanted} {name}",
        )


def resolve_for(store: ImageStore, name: str, wanted: Platform | None) -> Image:
    """Return the image that `name` stands for; of a list it is the one for the platform that was asked for.

    Raises as `ImageStore.resolve`, and as `check_platform`.
    """
    image = store.resolve(name, wanted)
    check_platform(image, name, wanted)
    return image
