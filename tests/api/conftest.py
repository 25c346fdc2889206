"""A synthetic subject, and its cord."""

import pytest

import spinalprep as sp


@pytest.fixture(scope="session")
def image() -> sp.Scan:
    return sp.example()


@pytest.fixture(scope="session")
def found(image: sp.Scan) -> sp.Segmentation:
    return sp.segment(image, views=1)


@pytest.fixture(scope="session")
def levels(image: sp.Scan, found: sp.Segmentation) -> sp.VertebralLevels:
    return sp.label_levels(image, found, template="Generic")
