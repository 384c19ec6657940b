"""The contract runs every family, so its tests ask for the weights that families name."""

import pytest


@pytest.fixture(autouse=True)
def weights(wordllama, minilm, e5_small, efficientnet_lite0, centernet, ppocr_v4):
    pass
