# syntax=docker/dockerfile:1
FROM python:3.12-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/gpuscout
WORKDIR /src
COPY requirements.lock ./
RUN /opt/gpuscout/bin/pip install --require-hashes -r requirements.lock
COPY . .
RUN /opt/gpuscout/bin/pip install --no-deps --no-build-isolation . \
 && /opt/gpuscout/bin/pip uninstall --yes setuptools

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="GPUScout" \
      org.opencontainers.image.description="What your GPUs should earn, where, and at what price - in Discord."
RUN useradd --create-home --uid 10001 gpuscout && install -d -o gpuscout -g gpuscout /data
COPY --from=build /opt/gpuscout /opt/gpuscout
ENV PATH=/opt/gpuscout/bin:$PATH PYTHONUNBUFFERED=1 WEB_HOST=0.0.0.0 DATA_DIR=/data \
    DATABASE_URL=sqlite+aiosqlite:////data/gpuscout.db MPLCONFIGDIR=/tmp/matplotlib
USER gpuscout
WORKDIR /home/gpuscout
VOLUME /data
EXPOSE 8080
# Liveness only: a restart does not mend a sick source, which /readyz tells.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os,urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ.get(\"WEB_PORT\", \"8080\")}/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["gpuscout"]
CMD ["run"]
