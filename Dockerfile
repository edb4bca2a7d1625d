# EmoCatcher in a container: `docker build -t emocatcher .`, then `docker run -p 127.0.0.1:8000:8000 emocatcher`.
# See docs/deploy.md. It needs BuildKit, which docker and podman have.

# The page, which needs Node.js to be built. Nothing of this stage but the page is in the image.
FROM node:22-slim AS page
RUN apt-get update && apt-get install --yes --no-install-recommends make python3-venv
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /opt/page && /opt/page/bin/pip install ".[export]"
RUN --mount=type=cache,target=/root/.npm \
    make --old-file=.venv/.installed BIN=/opt/page/bin page

FROM python:3.12-slim AS build
# More extras, separated by commas: `docker build --build-arg EXTRAS=serve,batch,hub .`
ARG EXTRAS=serve
RUN apt-get update && apt-get install --yes --no-install-recommends binutils
WORKDIR /src
COPY . .
COPY --from=page /src/dist/page dist/page
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/emocatcher && \
    pip --python /opt/emocatcher/bin/python install --no-compile -c constraints.txt ".[$EXTRAS]"
# Libraries contain their tests, two of them symbols for debuggers, and ONNX Runtime a second copy of itself for other
# languages: 80 MB. Python files are compiled here, because the image may be read-only later; some are for other Python
# versions and do not compile.
RUN cd /opt/emocatcher/lib/python3.*/site-packages && \
    find . -type d -name tests -prune -exec rm -r {} + && \
    find av uvloop -name "*.so" -exec strip --strip-unneeded {} + && \
    rm -f onnxruntime/capi/libonnxruntime.so.* && \
    (/opt/emocatcher/bin/python -m compileall -q -j 0 . >/dev/null || true)

FROM python:3.12-slim
LABEL org.opencontainers.image.title="EmoCatcher" \
      org.opencontainers.image.description="Speech emotion recognition: command line, HTTP API and page" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/emocatcher /opt/emocatcher
# The root file system may be read-only: everything that is written goes to /tmp, or where a command is told to write.
ENV PATH=/opt/emocatcher/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
WORKDIR /work
# A number, so that a cluster can verify that it is not root. Any other works, too: --user "$(id -u):$(id -g)".
USER 10001:10001
EXPOSE 8000
# Without the proxy that Docker's client may set in the environment of every container, and that urllib would ask.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["emocatcher"]
CMD ["serve", "--host", "0.0.0.0"]
