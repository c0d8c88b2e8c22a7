"""What `import crass_tf` offers."""

import numpy as np
import pytest

import crass_tf

HEAVY = ("tensorflow", "keras", "tensorflow_datasets", "scipy", "jinja2", "cv2")


@pytest.mark.parametrize("name", crass_tf.__all__)
def test_each_name_is_there_and_can_be_called(name):
    assert callable(getattr(crass_tf, name)) and name in dir(crass_tf)


def test_import_is_light(run_python):
    script = f"import sys, crass_tf; dir(crass_tf); print([name for name in {HEAVY} if name in sys.modules])"
    assert run_python(script) == "[]\n"


def test_export_is_a_function_and_a_room_and_an_unknown_name_an_attribute_error():
    from crass_tf.export import describe

    assert crass_tf.export.describe is describe
    with pytest.raises(crass_tf.common.files.InputError, match=r"nowhere\.keras"):
        crass_tf.export("nowhere.keras", "out", [], [])
    with pytest.raises(AttributeError, match="no attribute 'segment'"):
        crass_tf.segment  # noqa: B018


class TestAugmentation:
    def pairs(self, dtype=np.uint8, count=6):
        import tensorflow as tf

        image = np.arange(64 * 48, dtype=np.int64).reshape(64, 48, 1) % 256
        mask = np.zeros((64, 48, 1), np.uint8)
        mask[20:30, 10:40] = 1
        return tf.data.Dataset.from_tensors((image.astype(dtype), mask)).repeat(count)

    def test_keeps_shape_dtype_and_the_masks_values(self):
        changed = self.pairs(np.float32).map(crass_tf.augmentation())
        assert [spec.shape for spec in changed.element_spec] == [(64, 48, 1), (64, 48, 1)]
        for image, mask in changed.as_numpy_iterator():
            assert image.dtype == np.float32 and image.min() >= 0 and image.max() <= 255
            assert mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 1}

    @pytest.mark.parametrize("foreground", [128, 255])
    def test_any_value_above_0_is_clavicle(self, foreground):
        bright = self.pairs().map(lambda image, mask: (image, mask * np.uint8(foreground)))
        pairs = zip(*(pairs.map(crass_tf.augmentation()).as_numpy_iterator() for pairs in (self.pairs(), bright)))
        assert all(np.array_equal(mask, same) and mask.any() for (_, mask), (_, same) in pairs)

    @pytest.mark.parametrize(
        "dtype, factor, found", [("uint16", 257.0, "outside"), ("float32", 1 / 255, "from 0 to 1")]
    )
    def test_other_grey_values_are_refused(self, dtype, factor, found):
        import tensorflow as tf

        (image, mask), *_ = self.pairs(count=1).as_numpy_iterator()
        pairs = tf.data.Dataset.from_tensors(((image * factor).astype(dtype), mask))
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"image: found grey values .*{found}"):
            next(iter(pairs.map(crass_tf.augmentation())))

    def test_examples_differ_and_a_seed_repeats_them(self):
        first, again, other = (
            [image for image, _ in self.pairs().map(crass_tf.augmentation(seed=seed)).as_numpy_iterator()]
            for seed in (3, 3, 4)
        )
        assert np.array_equal(first, again) and not np.array_equal(first, other)
        assert not np.array_equal(first[0], first[1])
