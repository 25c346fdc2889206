# CPU image of the BIDS App. Build: docker build -t spinalprep .
FROM python:3.11-slim-bookworm

ENV NO_ET=1 \
    MPLBACKEND=Agg \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SPINALPREP_CONTAINER=docker

RUN useradd --create-home --uid 1000 spinalprep
WORKDIR /opt/spinalprep
COPY . .
# The CPU build of torch first: the index's own takes gigabytes of CUDA.
RUN python -m pip install --index-url https://download.pytorch.org/whl/cpu torch==2.13.0 \
    && python -m pip install --constraint constraints.txt . \
    && python -m spinalprep --version

USER spinalprep
WORKDIR /tmp
ENTRYPOINT ["spinalprep"]
