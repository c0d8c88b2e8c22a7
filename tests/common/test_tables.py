from crass_tf.common.tables import write_table


def test_one_form_for_all_tables(tmp_path):
    rows = [{"name": "Ü, 1", "iou": 1 / 3, "more": 2}, {"name": "b", "iou": None}]
    write_table(tmp_path / "table.csv", ("name", "iou"), rows)
    assert (tmp_path / "table.csv").read_bytes() == 'name,iou\n"Ü, 1",0.3333333333333333\nb,\n'.encode()
