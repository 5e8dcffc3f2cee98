# syntax=docker/dockerfile:1
# One image for both processes, `switchboard operator` and `switchboard webhook`.
# Built from the lock file alone: every package is pinned and its hash checked. Pin the base by digest in the release workflow.
ARG PYTHON_VERSION=3.13
ARG BASE=python:${PYTHON_VERSION}-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
RUN python -m venv --without-pip /opt/switchboard
COPY requirements/image.txt ./requirements.txt
RUN python -m pip --python /opt/switchboard/bin/python install --require-hashes --only-binary :all: -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator ./operator
# Only the product: the embedded cluster and the simulator stay out of the image.
RUN rm -rf operator/kubesandbox operator/switchboard/sandbox \
    && cp -r operator/switchboard "$(/opt/switchboard/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/" \
    && printf '#!/opt/switchboard/bin/python\nfrom switchboard.cli import main\nraise SystemExit(main())\n' > /opt/switchboard/bin/switchboard \
    && chmod 0755 /opt/switchboard/bin/switchboard \
    && /opt/switchboard/bin/python -m compileall -q /opt/switchboard/lib

FROM ${BASE}
LABEL org.opencontainers.image.title="Switchboard" \
      org.opencontainers.image.description="Connects AI agents to SMS and WhatsApp through Twilio" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/switchboard /opt/switchboard
# No package manager and no compiler-time leftovers: what the two processes do not use is not there to be misused.
RUN rm -rf /usr/local/lib/python*/site-packages/* /usr/local/bin/pip* /root/.cache \
    && useradd --uid 65532 --user-group --no-create-home --shell /usr/sbin/nologin switchboard
ENV PATH=/opt/switchboard/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 65532:65532
ENTRYPOINT []
CMD ["switchboard", "operator"]
