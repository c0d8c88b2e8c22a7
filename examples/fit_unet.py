"""Trains the U-Net with plain Keras. Two commands come before it; without CRASS12 at hand the first draws phantoms:

crass-tf phantom --out radiographs
crass-tf build --manual-dir radiographs --data-dir datasets --config 512x512
"""

import argparse

import keras
import tensorflow as tf
import tensorflow_datasets as tfds

from crass_tf.model import IoU, dice_cross_entropy, unet


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default="datasets", help="where crass-tf build wrote to")
    parser.add_argument("--config", default="512x512", help="the size that was built")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--out", default="unet.keras", help="the file to write")
    args = parser.parse_args(arguments)

    def load(split):  # (image, mask), uint8, of which the network takes the image as float32, from 0 to 255
        pairs = tfds.load(f"crass12/{args.config}", split=split, data_dir=args.data_dir, as_supervised=True)
        return pairs.map(lambda image, mask: (tf.cast(image, tf.float32), mask)).cache()

    train, validation = load("train"), load("validation")
    model = unet(train.element_spec[0].shape[:2])
    model.compile(keras.optimizers.AdamW(1e-3), dice_cross_entropy, metrics=[IoU()])
    batches = train.shuffle(len(train)).batch(4, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    history = model.fit(batches, validation_data=validation.batch(4), epochs=args.epochs)
    # Without the loss, the file opens with keras.saving.load_model alone and with crass-tf predict --model.
    keras.Model(model.inputs, model.outputs).save(args.out)
    return history.history


if __name__ == "__main__":
    main()
