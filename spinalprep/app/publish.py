"""Outputs of stages become derivatives, as soon as a stage has finished."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from spinalprep.app.jobs import Job, Shared
from spinalprep.bids.catalogue import LEVEL_OUTPUTS, OUTPUTS, output_path, transform_path
from spinalprep.bids.dataset import write_atlas_description
from spinalprep.bids.derivatives import (
    Provenance,
    derivative_uri,
    image_sidecar,
    reference_uri,
    template_uri,
    transform_sidecar,
    with_identity,
    write_file,
    write_table,
)
from spinalprep.bids.labelmaps import (
    disc_labels,
    lesion_labels,
    lookup_table,
    spinal_level_labels,
    tract_labels,
    vertebra_labels,
)
from spinalprep.bids.names import SHOWS_GM, derivative_path, frame_name
from spinalprep.bids.session import Scan
from spinalprep.levels.discs import level_name
from spinalprep.tables import read_table


@dataclass(frozen=True)
class Publisher:
    """Writes what the stages of one job produced under its final names.

    ``level_source`` says what the vertebral levels follow from, see `levels.discs.Levels`.
    """

    job: Job
    shared: Shared
    level_source: str = "unknown"

    def publish(self, stage: str, outputs: Any) -> bool:
        """Write the outputs of a stage; tell whether anything changed."""
        name, _, contrast = stage.partition("_")
        if name in ("preprocess", "coregister", "masks") and contrast:
            return bool(getattr(self, f"_{name}")(outputs, self.job.others[contrast]))
        if name == "preprocess":
            return self._preprocess(outputs, self.job.reference)
        if name == "metric":
            return self._metric(outputs, contrast)
        return bool(getattr(self, f"_{stage}")(outputs))

    def _preprocess(self, outputs: Any, scan: Scan) -> bool:
        return self._image("preproc", outputs.image, scan=scan, model=None)

    def _coregister(self, outputs: Any, scan: Scan) -> bool:
        changed = self._image("preproc_reference", outputs.image, scan=scan, model=None)
        reference = self.job.reference
        moving, fixed = frame_name(scan, reference), frame_name(reference, reference)
        for file, inverse in ((outputs.forward, False), (outputs.inverse, True)):
            path = transform_path(self._out, scan, self.job.reference, ".txt", inverse=inverse)
            ends = (fixed, moving) if inverse else (moving, fixed)
            changed |= self._transform(path, file, ends, (scan,), dict(outputs.measures))
        return changed

    def _masks(self, outputs: Any, scan: Scan) -> bool:
        space = frame_name(scan, self.job.reference)
        changed = False
        for key, file in (("cord", outputs.cord), ("lesion", outputs.lesion)):
            if file is None:
                continue
            manual = key if key in self.job.labels.paths else None
            path = derivative_path(
                *(self._out, self.job.reference),
                suffix="mask",
                space=space,
                label=OUTPUTS[key].label,
            )
            provenance = replace(
                self._provenance(scan, manual=manual, made_by_hand=manual is not None),
                spatial_reference=derivative_uri(self._out, self._path("preproc", scan)),
            )
            sidecar = image_sidecar(key, provenance, scan.contrast)
            changed |= write_file(self._out, path, _path(file), sidecar)
        return changed

    def _automatic(self, outputs: Any) -> bool:
        model = self._model("cord")
        beside = "cord" in self.job.labels.paths
        changed = self._image("cord", outputs.cord, model=model, auto=beside)
        changed |= self._image("cord_probability", outputs.probability, model=model, auto=beside)
        changed |= self._image("cord_uncertainty", outputs.uncertainty, model=model)
        if "lesion" not in self.shared.settings.skip:
            lesions = self._model("lesion")
            changed |= self._image("lesion_probability", outputs.lesion, model=lesions)
        if self.job.reference.contrast in SHOWS_GM:
            drawn = "gm" in self.job.labels.paths
            grey = self._model("gm")
            changed |= self._image("gm_probability", outputs.gm, model=grey, auto=drawn)
        if not beside:
            changed |= self._table("centerline_table", read_table(_path(outputs.centerline)))
        return changed

    def _manual(self, outputs: Any) -> bool:
        changed = self._image("cord", outputs.cord, manual="cord")
        return changed | self._table("centerline_table", read_table(_path(outputs.centerline)))

    def _manual_gm(self, outputs: Any) -> bool:
        return self._image("gm_probability", outputs.probability, manual="gm")

    def _centerline(self, outputs: Any) -> bool:
        model = None if "cord" in self.job.labels.paths else self._model("centerline")
        return self._image("centerline", outputs.mask, model=model)

    def _levels(self, outputs: Any) -> bool:
        if outputs.levels is None:
            return False
        manual = "discs" if "discs" in self.job.labels.paths else None
        model = self._model("discs") if "detected" in self.level_source else None
        changed = self._image(
            *("vertebrae", outputs.vertebrae),
            manual=manual,
            model=model,
            label_map=vertebra_labels(),
        )
        return changed | self._image(
            "discs", outputs.discs, manual=manual, model=model, label_map=disc_labels()
        )

    def _shape(self, outputs: Any) -> bool:
        changed = self._table("perslice", _named_levels(read_table(_path(outputs.perslice))))
        changed |= self._table("shape_total", read_table(_path(outputs.total)))
        perlevel = _named_levels(read_table(_path(outputs.perlevel)))
        return changed | (len(perlevel) > 0 and self._table("perlevel", perlevel))

    def _lesion(self, outputs: Any) -> bool:
        manual = "lesion" if "lesion" in self.job.labels.paths else None
        model = None if manual else self._model("lesion")
        names = lesion_labels(len(outputs.volumes))
        changed = self._image("lesion", outputs.mask, manual=manual, model=model)
        changed |= self._image(
            "lesions", outputs.instances, manual=manual, model=model, label_map=names
        )
        lookup = lookup_table(names)
        lookup["volume_mm3"] = outputs.volumes
        return changed | self._table("lesions_lookup", lookup, identity=False)

    def _lesion_tables(self, outputs: Any) -> bool:
        table = _named_levels(read_table(_path(outputs.table)))
        changed = self._table("lesion_table", table)
        changed |= self._table("lesion_regions", read_table(_path(outputs.regions)))
        return changed | self._table("lesion_totals", read_table(_path(outputs.totals)))

    def _template(self, outputs: Any) -> bool:
        reference, template = self.job.reference, self._template_name
        drawn = "cord" if "cord" in self.job.labels.paths else None
        model = None if drawn else self._model("cord")
        changed = False
        if outputs.image is not None:
            changed = self._image("preproc_template", outputs.image)
            changed |= self._image("cord_template", outputs.cord, manual=drawn, model=model)
            changed |= self._image("coverage_template", outputs.coverage)
        changed |= self._image("template_cord", outputs.template_cord, model=None)
        for file, inverse in ((outputs.forward, False), (outputs.inverse, True)):
            path = transform_path(self._out, reference, template, ".nii.gz", inverse=inverse)
            ends = (template, reference.contrast) if inverse else (reference.contrast, template)
            changed |= self._transform(path, file, ends, (reference,), dict(outputs.measures))
        if outputs.spinal_levels is not None and self.shared.template is not None:
            write_atlas_description(self._out, self.shared.template)
            changed |= self._image(
                "spinal_levels", outputs.spinal_levels, label_map=spinal_level_labels()
            )
        if outputs.tracts is not None and self.shared.template is not None:
            labels = tract_labels(self.shared.template.atlas)
            changed |= self._image("tracts", outputs.tracts, label_map=labels)
        return changed

    def _lesion_template(self, outputs: Any) -> bool:
        manual = "lesion" if "lesion" in self.job.labels.paths else None
        model = None if manual else self._model("lesion")
        changed = self._image("lesion_template", outputs.mask, manual=manual, model=model)
        return changed | self._image(
            "lesion_probability_template", outputs.soft, manual=manual, model=model
        )

    def _template_slices(self, outputs: Any) -> bool:
        if outputs.table is None:
            return False
        return self._table("template_slices", _named_levels(read_table(_path(outputs.table))))

    def _mtr(self, outputs: Any) -> bool:
        assert self.job.mt_pair is not None
        scans = {"": self.job.reference, **self.job.others}
        sources = tuple(scans[name].uri for name in self.job.mt_pair)
        provenance = replace(self._provenance(), sources=sources, parameters={})
        path = self._path("mtr")
        return write_file(self._out, path, _path(outputs.map), image_sidecar("mtr", provenance))

    def _metric(self, outputs: Any, name: str) -> bool:
        table = read_table(_path(outputs.table))
        table.insert(0, "metric", name)
        reference = self.job.reference
        names = {"space": reference.contrast, "desc": name}
        path = derivative_path(self._out, reference, suffix="metric", extension=".tsv", **names)
        return write_table(self._out, path, with_identity(table, reference))

    def write_gates(self, table: pd.DataFrame) -> bool:
        """Write the table of quality gates."""
        return self._table("qc", table)

    @property
    def _out(self) -> Path:
        return self.shared.settings.out_dir

    @property
    def _template_name(self) -> str:
        return self.shared.template.name if self.shared.template is not None else "PAM50"

    def _path(self, key: str, scan: Scan | None = None, auto: bool = False) -> Path:
        return output_path(
            self._out,
            key,
            scan or self.job.reference,
            self.job.reference,
            template=self._template_name,
            auto=auto,
        )

    def _image(
        self,
        key: str,
        file: Any,
        *,
        scan: Scan | None = None,
        model: Mapping[str, object] | None = None,
        manual: str | None = None,
        auto: bool = False,
        label_map: Mapping[str, str] | None = None,
    ) -> bool:
        """Copy one image of the cache to its name, with its sidecar."""
        path = self._path(key, scan, auto)
        made_by_hand = None if key.startswith("preproc") else manual is not None
        in_template = key.endswith("_template")
        provenance = self._provenance(scan, in_template, model, manual, made_by_hand, label_map)
        if key.startswith("lesion") and not made_by_hand:
            provenance = replace(provenance, parameters=self._lesion_settings())
        if key in LEVEL_OUTPUTS:
            provenance = replace(provenance, level_source=self.level_source)
        if key == "preproc":
            provenance = Provenance(provenance.sources, parameters=provenance.parameters)
        sidecar = image_sidecar(key, provenance, (scan or self.job.reference).contrast)
        return write_file(self._out, path, _path(file), sidecar)

    def _table(self, key: str, table: pd.DataFrame, identity: bool = True) -> bool:
        path = self._path(key)
        if identity:
            table = with_identity(table, self.job.reference)
        return write_table(self._out, path, table, dictionary=identity)

    def _transform(
        self,
        path: Path,
        file: Any,
        ends: tuple[str, str],
        scans: tuple[Scan, ...],
        measures: Mapping[str, object],
    ) -> bool:
        uris = tuple(scan.uri for scan in (*scans, self.job.reference))
        provenance = Provenance(tuple(dict.fromkeys(uris)), parameters=measures)
        return write_file(self._out, path, _path(file), transform_sidecar(*ends, provenance))

    def _provenance(
        self,
        scan: Scan | None = None,
        in_template: bool = False,
        model: Mapping[str, object] | None = None,
        manual: str | None = None,
        made_by_hand: bool | None = None,
        label_map: Mapping[str, str] | None = None,
    ) -> Provenance:
        """Say where an output came from."""
        sources = [(scan or self.job.reference).uri]
        if manual is not None:
            sources.append(str(self.job.labels.uri(manual)))
        template = self.shared.template
        space = reference_uri(self._out, self.job.reference)
        if in_template and template is not None:
            space = template_uri(template.name, template.release, template.identity)
        height = self.level_source if in_template else None
        return Provenance(
            tuple(sources), space, self._settings(), model, made_by_hand, label_map, height
        )

    def _settings(self) -> dict[str, object]:
        """Return the settings that changed numbers."""
        s = self.shared.settings
        return {
            "n4": "n4" not in s.skip,
            "denoise": s.denoise,
            "sloppy": s.sloppy,
            "seed": s.random_seed,
        }

    def _lesion_settings(self) -> dict[str, object]:
        """Return the settings that changed automatic lesions."""
        s = self.shared.settings
        own = {"lesion_threshold": s.lesion_threshold, "min_lesion_mm3": s.min_lesion_mm3}
        return self._settings() | own

    def _model(self, name: str) -> dict[str, object]:
        card = self.shared.cards[name]
        told = ("name", "version", "sha256", "temperature")
        return {key: card[key] for key in told if key in card}


def _path(file: Any) -> Path:
    """Return the path of a file of the cache."""
    return Path(file.fspath if hasattr(file, "fspath") else file)


def _named_levels(table: pd.DataFrame) -> pd.DataFrame:
    """Write vertebral levels by name; those that are not known stay missing."""
    numbers = pd.to_numeric(table["vertebral_level"], errors="coerce")
    names = [None if pd.isna(n) else level_name(int(n)) for n in numbers]
    return table.assign(vertebral_level=names)
