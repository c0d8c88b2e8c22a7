"""JSRT/SCR: posterior-anterior chest radiographs with a mask of each clavicle."""

import tensorflow_datasets.public_api as tfds

from crass_tf.sources import open_jsrt
from tfds_builder.clavicles import ClavicleBuilder, Config


class Builder(ClavicleBuilder):
    """Builds JSRT/SCR from the folders of the JSRT data base and of the SCR data base."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The radiographs as stored, the first observer's clavicles, the study's two folds."}
    HOMEPAGE = "https://www.isi.uu.nl/Research/Databases/SCR/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    JSRT/SCR comes from two places, both for research and education only, without redistribution. Put into `manual_dir`
    the radiographs from http://db.jsrt.or.jp/eng.php as `JSRT/All247images/*.IMG`, and the masks from {HOMEPAGE} as
    `SCR/fold1/masks/left clavicle/*.gif`, `SCR/fold1/masks/right clavicle/*.gif` and the same in `SCR/fold2`. Other
    folders around the *.IMG files and around `fold1` and `fold2` will do, too.
    """
    BUILDER_CONFIGS = [
        *ClavicleBuilder.BUILDER_CONFIGS,
        Config(name="sides", description="The stored pixels, and a mask of each clavicle besides.", sides=True),
    ]
    open_source = staticmethod(open_jsrt)
