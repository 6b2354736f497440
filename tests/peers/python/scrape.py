"""Reads a Prometheus endpoint as the official client does: `scrape.py URL` prints {family: {type, samples: [[name, labels, value]]}}."""
import json
import sys
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

with urlopen(sys.argv[1], timeout=30) as response:
    text = response.read().decode()
families = {}
for family in text_string_to_metric_families(text):
    if family.name in families:
        sys.exit(f"{family.name} comes twice")
    samples = [[sample.name, sample.labels, sample.value] for sample in family.samples]
    families[family.name] = {"type": family.type, "samples": samples}
json.dump(families, sys.stdout)
