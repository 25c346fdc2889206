# CPU image of the BIDS App. Build: docker build -t spinalprep .
# Where Docker Hub can't be reached: --build-arg BASE=... (Python 3.11 and pip).
ARG BASE=python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1

# The folder is copied without .git: a build between two releases passes
# --build-arg VERSION="$(python -m setuptools_scm)".
ARG VERSION=0.2.0

FROM ${BASE} AS build
ARG VERSION
WORKDIR /src
COPY . .
RUN SETUPTOOLS_SCM_PRETEND_VERSION_FOR_SPINALPREP="$VERSION" \
    python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && cp constraints.txt /wheels

FROM ${BASE}

ARG VERSION
LABEL org.opencontainers.image.title="spinalprep" \
      org.opencontainers.image.description="BIDS App for spinal cord MRI; research use only" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses="Apache-2.0"

ENV NO_ET=1 \
    MPLBACKEND=Agg \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SPINALPREP_CONTAINER=docker

# Where the CPU build of torch comes from; give your own mirror where this one can't be reached.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# The CPU build of torch first: PyPI's own takes gigabytes of CUDA.
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    useradd --create-home --uid 1000 spinalprep \
    && python -m pip install --index-url "$TORCH_INDEX" torch==2.13.0 \
    && python -m pip install --constraint /wheels/constraints.txt /wheels/*.whl \
    && python -m spinalprep --version
# What the image holds: Python packages as CycloneDX, Debian's as a table.
RUN --mount=type=bind,from=build,source=/src,target=/src \
    mkdir -p /opt/spinalprep \
    && /src/.ci/sbom "$(command -v python)" /opt/spinalprep/sbom.cdx.json \
    && dpkg-query --show --showformat='${Package}\t${Version}\t${Architecture}\n' \
        > /opt/spinalprep/debian-packages.tsv

USER 1000:1000
WORKDIR /tmp
ENTRYPOINT ["spinalprep"]
