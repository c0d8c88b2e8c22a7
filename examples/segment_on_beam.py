"""Clavicle areas of any number of radiographs, with Apache Beam: copy this file into your own pipeline.

pip install crass-tf[beam]
python segment_on_beam.py 'gs://bucket/folder/**.png' gs://bucket/results --runner DataflowRunner ...
"""

import sys

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from crass_tf.beam.transforms import Radiographs, Segment, WriteSummary
from crass_tf.beam.work import Settings


def main(pattern, out, *runner_options):
    with beam.Pipeline(options=PipelineOptions(list(runner_options))) as pipeline:
        radiographs = pipeline | Radiographs([pattern], out=out)
        rows = radiographs | Segment(Settings(out=out, outputs=("mask", "json")))
        rows | WriteSummary(out)
        # None where the spacing is unknown, 0 where the clavicle was not found, no cell where all was refused.
        areas = rows | beam.Map(lambda row: row.get("right_area_mm2")) | beam.Filter(bool)
        (
            areas
            | beam.combiners.Mean.Globally()
            | beam.Map("right clavicles have {:.0f} square mm on average".format)
            | beam.Map(print)
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
