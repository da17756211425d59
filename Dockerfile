# plex-companion for a household: the HTTP application on port 3001, all that it remembers under /data.
#   docker build -t plex-companion . && docker run --env-file .env -p 127.0.0.1:3001:3001 -v plex-companion:/data plex-companion
ARG PYTHON=3.13.9-slim-trixie

FROM python:${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/plex-companion
# Whatever comes from elsewhere is pinned by hash; without changes to the pins this layer stays.
COPY requirements.lock requirements-build.lock ./
RUN /opt/plex-companion/bin/python -m pip install --require-hashes -r requirements.lock \
    && python -m pip install --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY plex_companion plex_companion
RUN python -m hatchling build -t wheel -d dist \
    && /opt/plex-companion/bin/python -m pip install --no-deps dist/*.whl

FROM python:${PYTHON}
COPY --from=build /opt/plex-companion /opt/plex-companion
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin companion \
    && install -d -o companion -g companion -m 0700 /data
ENV PATH=/opt/plex-companion/bin:$PATH \
    HOME=/data \
    PLEX_COMPANION_TRANSPORT=http \
    PLEX_COMPANION_HOST=0.0.0.0 \
    PLEX_COMPANION_PORT=3001 \
    PLEX_COMPANION_DATABASE=/data/plex.sqlite3
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 3001
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:3001/healthz/live', timeout=4)"]
ENTRYPOINT ["plex-companion"]
CMD ["serve"]
