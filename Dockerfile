# One image for every role: `selfheal serve --role …`, `selfheal migrate`, `selfheal optimize`.
# Set PYTHON to a digest for reproducible builds: the default is a tag, which moves.
ARG PYTHON=python:3.13-slim-trixie

FROM ${PYTHON} AS build
WORKDIR /source

RUN python -m venv --without-pip /opt/selfheal
COPY requirements.lock ./
# The lock is complete, build requirements included: nothing is resolved or fetched besides it.
RUN pip --python /opt/selfheal/bin/python install --no-cache-dir --no-deps --require-hashes \
    --only-binary :all: -r requirements.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY selfheal ./selfheal
COPY app ./app
COPY db ./db
COPY graph ./graph
COPY optimizer ./optimizer
COPY server ./server
COPY simulator ./simulator
RUN pip --python /opt/selfheal/bin/python install --no-cache-dir --no-deps --no-index \
    --no-build-isolation . \
    && pip --python /opt/selfheal/bin/python check

FROM ${PYTHON}
# Two of the sandboxes: bubblewrap if user namespaces are allowed, otherwise Landlock with seccomp.
# tini, as process 1, reaps the processes that a killed sandbox leaves behind.
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap libseccomp2 tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 selfheal \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data selfheal \
    && install -d -o 10001 -g 10001 /data
COPY --from=build /opt/selfheal /opt/selfheal

# Only /data and /tmp are written to, so the root file system can be read-only.
ENV PATH=/opt/selfheal/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data \
    SELFHEAL_DATA_DIR=/data
VOLUME ["/data", "/tmp"]
# By number, so that Kubernetes can verify that it is not root.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# For `docker run`; compose.yaml and Kubernetes define their own checks per role.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
ENTRYPOINT ["tini", "--", "selfheal"]
CMD ["serve", "--host", "0.0.0.0"]
