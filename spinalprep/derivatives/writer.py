"""Files of the cache become files of the output folder, with the JSON that says what they are."""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from spinalprep.bids.checksums import sha256_of
from spinalprep.bids.derivative_kinds import LEVEL_OUTPUTS, OUTPUTS, TEMPLATE, Kind
from spinalprep.bids.derivative_names import output_path, transform_path
from spinalprep.bids.derivatives import (
    Provenance,
    image_sidecar,
    reference_uri,
    remove_outputs,
    table_facts,
    template_uri,
    transform_sidecar,
    with_identity,
    write_file,
    write_table,
)
from spinalprep.bids.names import SHOWS_GM, frame_name
from spinalprep.bids.session import Scan
from spinalprep.bids.session_files import SessionFiles
from spinalprep.defaults import JOINED_BY
from spinalprep.derivatives.comparable import why_uncalibrated
from spinalprep.lumbar.structures import Alignment
from spinalprep.normative.calibration import load_calibration
from spinalprep.normative.table import Z_COLUMNS
from spinalprep.settings import Settings
from spinalprep.template.files import Template

SHAPE = ("cord", "gm", "levels")
PARTS_OF_TABLES: Mapping[Kind, tuple[str, ...]] = {
    "centerline_table": ("cord",),
    "perslice": SHAPE,
    "perlevel": SHAPE,
    "shape_total": SHAPE,
    "template_slices": SHAPE,
    "metric": SHAPE,
    "lesion_table": (*SHAPE, "lesion"),
    "lesion_regions": (*SHAPE, "lesion"),
    "lesion_totals": (*SHAPE, "lesion"),
    "tumor_table": ("cord", "levels", "tumor"),
    "lumbar_table": ("lumbar",),
}
PARTS_OF_IMAGES: Mapping[Kind, tuple[str, ...]] = {
    "preproc_reference": ("cord",),
    "template_cord": SHAPE,
    "preproc_template": SHAPE,
    "coverage_template": SHAPE,
    "spinal_levels": SHAPE,
    "tracts": SHAPE,
}

LOG = logging.getLogger("spinalprep")


@dataclass(frozen=True)
class Origin:
    """Who made an image.

    Attributes
    ----------
    model : mapping or None
        Of the card of the network that made it.
    drawn : str or None
        The role of the label where a person drew it.
    parameters : mapping
        Settings that changed it beside those that change everything.
    sources : tuple of str
        URIs of the images that it was made of, where that is not the stage's own.
    """

    model: Mapping[str, object] | None = None
    drawn: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    sources: tuple[str, ...] = ()


COMPUTED = Origin()


@dataclass(frozen=True)
class DerivativeWriter:
    """Writes what one stage left; every method tells whether a file changed.

    Attributes
    ----------
    files : SessionFiles
        What the session run started from.
    settings : Settings
        The output folder, and the settings that changed numbers.
    template : Template or None
        None where it is skipped.
    cards : mapping of str to mapping
        Of the networks.
    level_source : str
        What the vertebral levels follow from, see `levels.discs.Levels`.
    item : str
        The contrast or map of the stage, where there are several.
    searched : tuple of str
        The images whose lesions were joined, the reference first; empty where it was alone.
    """

    files: SessionFiles
    settings: Settings
    template: Template | None
    cards: Mapping[str, Mapping[str, object]]
    level_source: str = "unknown"
    item: str = ""
    searched: tuple[str, ...] = ()

    @property
    def out_dir(self) -> Path:
        """The output folder."""
        return self.settings.out_dir

    @property
    def scan(self) -> Scan:
        """The raw image that the stage worked on."""
        return self.files.scans[self.item]

    @property
    def template_name(self) -> str:
        """What names call the template."""
        return self.template.name if self.template is not None else "PAM50"

    def path(self, key: Kind, auto: bool = False) -> Path:
        """Return where an output of the stage is written."""
        return output_path(
            self.out_dir,
            key,
            self.scan,
            self.files.reference,
            template=self.template_name,
            auto=auto,
        )

    def image(
        self,
        key: Kind,
        file: Path,
        origin: Origin = COMPUTED,
        *,
        auto: bool = False,
        label_map: Mapping[str, str] | None = None,
    ) -> bool:
        """Copy one image of the cache to its name, with its sidecar."""
        output = OUTPUTS[key]
        in_template = output.space == TEMPLATE
        provenance = self.provenance(origin, in_template=in_template)
        provenance = replace(
            provenance,
            manual=origin.drawn is not None if output.suffix else None,
            label_map=label_map,
            level_source=self.level_source if in_template or key in LEVEL_OUTPUTS else None,
            models=self._models(PARTS_OF_IMAGES.get(key, ())),
        )
        if key == "preproc":
            provenance = replace(provenance, spatial_reference=None, level_source=None)
        sidecar = image_sidecar(key, provenance, self.scan.contrast)
        return write_file(self.out_dir, self.path(key, auto), file, sidecar)

    def table(self, key: Kind, table: pd.DataFrame) -> bool:
        """Write a table that says whose it is, with its data dictionary."""
        named = with_identity(table, self.files.reference)
        scores = [name for name in Z_COLUMNS.values() if name in named]
        more = dict.fromkeys(scores, self.calibration) if scores else {}
        return write_table(self.out_dir, self.path(key), named, more=more, about=self.about(key))

    def about(self, key: Kind) -> dict[str, object]:
        """Return what is said of a table: inputs, its networks, settings and template."""
        files = [self.files.reference.uri, *self.files.labels.by_uri]
        scan = self.files.scans.get(self.item, self.files.reference)
        joined = self._searched_uris() if "lesion" in PARTS_OF_TABLES.get(key, ()) else ()
        uris = tuple(dict.fromkeys((scan.uri, *joined, *files)))
        provenance = Provenance(uris, parameters=self._parameters(), checksums=self._sums(uris))
        told: dict[str, object] = table_facts(provenance)
        told["Models"] = [self.model(name) for name in self.networks_of(key)]
        if self.template is not None:
            told["Template"] = self._template_uri()
        if self.item in self.files.maps:
            path = self.files.maps[self.item]
            told["Map"] = {"File": path.name, "SHA256": sha256_of(path)}
        return told

    def networks_of(self, key: Kind) -> list[str]:
        """Return the names of the networks that had a part in a table.

        Where a person drew a structure, its network had none; the gates are of all of them.
        """
        return sorted(self.cards) if key == "qc" else self._networks(PARTS_OF_TABLES[key])

    def _models(self, parts: Iterable[str]) -> tuple[dict[str, object], ...]:
        """Return what is told of the networks that had a hand in some structures."""
        return tuple(self.model(name) for name in self._networks(parts))

    def _networks(self, parts: Iterable[str]) -> list[str]:
        """Return the names of the networks that had a hand in some structures."""
        drawn = self.files.is_drawn
        line = () if drawn("centerline") else ("centerline",)
        shows_gm = self.files.reference.contrast in SHOWS_GM
        found: dict[str, tuple[str, ...]] = {
            "cord": () if drawn("cord") else (*line, "cord"),
            "gm": () if drawn("gm") or not shows_gm else ("gm",),
            "lesion": () if drawn("lesion") else ("lesion",),
            "levels": ("centerline", "discs") if "detected" in self.level_source else (),
            "tumor": ("tumor", "tumor_cord"),
            "lumbar": ("lumbar",),
        }
        names = {name for part in parts for name in found[part]}
        return sorted(names & self.cards.keys())

    @property
    def calibration(self) -> dict[str, object]:
        """What is said of z-scores: by whom masks were calibrated, or why there are none."""
        reason = why_uncalibrated(self.files, self.settings, self.cards)
        if reason:
            return {"Calibrated": False, "NotShownBecause": reason}
        return {"Calibrated": True, "Calibration": load_calibration().facts()}

    def supersede(self, *paths: Path) -> bool:
        """Remove what an earlier run wrote and this run found not to exist, and say so."""
        removed = remove_outputs(self.out_dir, paths)
        if removed:
            names = ", ".join(path.name for path in removed)
            LOG.info("removed, because this run no longer produces them: %s", names)
        return bool(removed)

    def transforms(
        self, forward: Path, inverse: Path, to: str, extension: str, measures: Mapping[str, object]
    ) -> bool:
        """Write a transform of the stage's image and the way back.

        ``to`` is a template, or empty for the reference image.
        """
        reference, moving = self.files.reference, frame_name(self.scan, self.files.reference)
        fixed = to or frame_name(reference, reference)
        uris = dict.fromkeys((self.scan.uri, reference.uri))
        if to:
            measures = {**measures, "template": self._template_uri()}
        provenance = Provenance(
            tuple(uris),
            parameters=measures,
            checksums=self._sums(uris),
            models=self._models(SHAPE if to else ("cord",)),
        )
        changed = False
        for file, back in ((forward, False), (inverse, True)):
            path = transform_path(self.out_dir, self.scan, to or reference, extension, inverse=back)
            ends = (fixed, moving) if back else (moving, fixed)
            sidecar = transform_sidecar(*ends, provenance)
            changed |= write_file(self.out_dir, path, file, sidecar)
        return changed

    def provenance(self, origin: Origin = COMPUTED, *, in_template: bool = False) -> Provenance:
        """Say where an output came from."""
        sources = list(origin.sources or (self.scan.uri,))
        if origin.drawn is not None:
            sources.append(str(self.files.labels.uri(origin.drawn)))
        space = reference_uri(self.out_dir, self.files.reference)
        if in_template and self.template is not None:
            space = self._template_uri()
        parameters = {**self._parameters(), **origin.parameters}
        device = self._device_of(origin.model) if origin.model is not None else None
        sums = self._sums(sources)
        return Provenance(tuple(sources), space, parameters, origin.model, device, checksums=sums)

    def _sums(self, uris: Iterable[str]) -> dict[str, str]:
        """Return the checksums of those sources that are inputs; one that has gone has none."""
        paths = {scan.uri: scan.path for scan in self.files.scans.values()}
        paths |= self.files.labels.by_uri
        there = (uri for uri in uris if uri in paths and paths[uri].is_file())
        return {uri: sha256_of(paths[uri]) for uri in there}

    def _template_uri(self) -> str:
        """Return which template of which release it is; empty without one."""
        t = self.template
        return template_uri(t.name, t.release, t.identity) if t is not None else ""

    def drawn_or_found(self, role: str, network: str = "") -> Origin:
        """Return the origin of what a person drew, or else the network of that name found."""
        if self.files.is_drawn(role):
            return Origin(drawn=role)
        return self.lesions_found() if role == "lesion" else Origin(self.model(network or role))

    def lesions_found(self) -> Origin:
        """Return the origin of lesions that the network found."""
        s = self.settings
        own: dict[str, object] = {"lesion_threshold": s.lesion_threshold}
        own["min_lesion_mm3"] = s.min_lesion_mm3
        if self.searched:
            own["lesion_fusion"] = JOINED_BY[s.lesion_fusion]
        return Origin(self.model("lesion"), parameters=own, sources=self._searched_uris())

    def _searched_uris(self) -> tuple[str, ...]:
        """Return the images whose lesions were joined; none where the reference was alone."""
        others = (self.files.contrasts[name].uri for name in self.searched[1:])
        return (self.files.reference.uri, *others) if self.searched else ()

    @property
    def seeks_tumors(self) -> bool:
        """Whether a tumor is looked for, and there is an image that could show it."""
        wanted = self.settings.pathology == "tumor"
        return wanted and any(name is not None for name in self.files.tumor_contrasts)

    def tumor_found(self, seen: Collection[str]) -> Origin:
        """Return the origin of what the networks of tumors found in T2w, Gd-T1w or both."""
        s = self.settings
        t2w, gd_t1w = self.files.tumor_contrasts
        own: dict[str, object] = {
            "tumor_crop": s.tumor_crop,
            "tumor_threshold": s.tumor_threshold,
            "edema_threshold": s.edema_threshold,
            "min_tumor_cm3": s.min_tumor_cm3,
            "min_edema_cm3": s.min_edema_cm3,
            "min_cavity_cm3": s.min_cavity_cm3,
        }
        if s.tumor_crop == "cascade" and "T2w" in seen:
            own["tumor_crop_model"] = self.model("tumor_cord")
        images = {"T2w": t2w, "Gd-T1w": gd_t1w}
        used = (name for contrast, name in images.items() if contrast in seen)
        sources = tuple(self.files.scans[name].uri for name in used if name is not None)
        return Origin(self.model("tumor"), parameters=own, sources=sources)

    @property
    def seeks_lumbar(self) -> bool:
        """Whether lumbar structures are looked for, and there is an image that could show them."""
        return self.settings.lumbar and any(n is not None for n in self.files.lumbar_contrasts)

    def lumbar_found(self, alignment: str | None) -> Origin:
        """Return the origin of lumbar structures, given how T1w came to T2w."""
        t2w, t1w = self.files.lumbar_contrasts
        used = (t2w, None if alignment == Alignment.REFUSED else t1w)
        own = {"t1w_to_t2w": alignment} if alignment is not None else {}
        sources = tuple(self.files.scans[name].uri for name in used if name is not None)
        return Origin(self.model("lumbar"), parameters=own, sources=sources)

    def model(self, name: str) -> dict[str, object]:
        """Return what sidecars tell of a network."""
        told = ("name", "version", "sha256", "temperature")
        return {key: self.cards[name][key] for key in told if key in self.cards[name]}

    def _device_of(self, model: Mapping[str, object]) -> str | None:
        """Return where a network ran; None where nothing says so."""
        same = (c for c in self.cards.values() if c.get("sha256") == model.get("sha256"))
        device = next(same, {}).get("device")
        return str(device) if device is not None else None

    def _parameters(self) -> dict[str, object]:
        """Return the settings that changed numbers."""
        s = self.settings
        return {
            "n4": "n4" not in s.skip,
            "denoise": s.denoise,
            "sloppy": s.sloppy,
            "seed": s.random_seed,
        }
