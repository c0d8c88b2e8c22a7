"""CRASS12: posterior-anterior chest radiographs with clavicle masks."""

import tensorflow_datasets.public_api as tfds

from crass_tf.sources import open_crass12
from tfds_builder.clavicles import ClavicleBuilder, Config


class Builder(ClavicleBuilder):
    """Builds CRASS12 from the folder as published, or from the original release."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {
        "1.0.0": "The folder as published: PNG files and a fixed split.",
        "1.1.0": "The original release; the published split; native16 and unlabelled; one grey scale for all images.",
    }
    HOMEPAGE = "https://crass.grand-challenge.org/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    CRASS12 needs an account: register at {HOMEPAGE}, download the data set and put it into `manual_dir`: as
    `CRASS12/image/*.PNG`, `CRASS12/mask/*.PNG`, `CRASS12/train.txt` and `CRASS12/val.txt`, or in its original form as
    `CRASS12/data_train/*.mhd`, `CRASS12/mask_mhd/*.mhd` and `CRASS12/data_test/*.mhd`.
    """
    CONFIGS_ON_REQUEST = (
        Config(name="unlabelled", description="The radiographs without masks, stored pixels.", labelled=False),
    )
    open_source = staticmethod(open_crass12)
