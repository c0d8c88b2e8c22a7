from crass_tf.commands import export as running


def test_splits_of_a_data_set_without_train_and_validation(two_folds, monkeypatch):
    given = {}

    def export(model, out, calibration, compared, **about):
        given.update(about, calibration=calibration, compared=compared)

    monkeypatch.setattr(running, "export", export)
    running.export_from("model.keras", "out", two_folds, "two_folds")
    assert sorted(example.image_id for example in given["calibration"]) == [*"abcd"]
    assert sorted(example.image_id for example in given["compared"]) == [*"efgh"]
    assert given["calibration_source"] == "two_folds, split fold1"
    assert given["examples_source"] == "two_folds, split fold2"
