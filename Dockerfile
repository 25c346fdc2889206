# CPU image of the BIDS App. Build: docker build -t spinalprep .
FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="spinalprep" \
      org.opencontainers.image.description="BIDS App for spinal cord MRI; research use only" \
      org.opencontainers.image.licenses="Apache-2.0"

ENV NO_ET=1 \
    MPLBACKEND=Agg \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SPINALPREP_CONTAINER=docker

# Where the CPU build of torch comes from; give your own mirror where this one can't be reached.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

RUN useradd --create-home --uid 1000 spinalprep
WORKDIR /opt/spinalprep
COPY . .
# The CPU build of torch first: PyPI's own takes gigabytes of CUDA.
RUN python -m pip install --index-url "$TORCH_INDEX" torch==2.13.0 \
    && python -m pip install --constraint constraints.txt . \
    && python -m spinalprep --version

USER 1000:1000
WORKDIR /tmp
ENTRYPOINT ["spinalprep"]
