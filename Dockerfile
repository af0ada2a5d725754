# One image for web, worker and clock. Debian, because the wheels of two dependencies do not run on Alpine.
FROM python:3.13-slim-bookworm AS build
WORKDIR /app
RUN python -m venv --without-pip /opt/flowserver
COPY pyproject.toml setup.py README.md ./
COPY migrations migrations
COPY flowserver flowserver
RUN pip --python /opt/flowserver/bin/python install --no-cache-dir ".[postgres,scale]"

FROM python:3.13-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data flowserver \
    && install -d -o flowserver -g flowserver -m 700 /data
COPY --from=build /opt/flowserver /opt/flowserver
ENV PATH=/opt/flowserver/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FLOWSERVER_DATA=/data \
    FLOWSERVER_HOST=0.0.0.0
USER flowserver
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "--workers", "2", "--threads", "8", "--worker-tmp-dir", "/dev/shm", "flowserver.runtime.web:application()"]
