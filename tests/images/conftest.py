"""A store of images without any."""

import pytest

from daemonless.images.store import ImageStore


@pytest.fixture
def store(tmp_path):
    made = ImageStore(str(tmp_path))
    made.blobs.prepare()
    return made
