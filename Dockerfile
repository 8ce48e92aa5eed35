# One image for every process; the command chooses the role:
#   services.edge  services.dispatcher  services.metering  services.health  services.console
#   trunkline.cli migrate  trunkline.cli apply -f FILE  trunkline.dev.demo.upstream --host 0.0.0.0 --port 9200

FROM python:3.12-slim AS build
WORKDIR /build
COPY requirements/ requirements/
RUN python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/build.txt \
 && python -m venv --without-pip /opt/trunkline \
 && python -m uv pip install --no-cache --compile-bytecode --python /opt/trunkline/bin/python --require-hashes -r requirements/tracing.txt
# Compiled here, since a container may not write. The project last: a change of its code leaves the layers above as they are.
COPY pyproject.toml README.md ./
COPY trunkline/ trunkline/
COPY services/ services/
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index --wheel-dir dist . \
 && python -m uv pip install --no-cache --compile-bytecode --python /opt/trunkline/bin/python --no-deps --no-index dist/*.whl

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin trunkline \
 && install --directory --owner=10001 --mode=700 /var/lib/trunkline
COPY --from=build /opt/trunkline /opt/trunkline
ENV PATH=/opt/trunkline/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
# Edge, console, and the ops ports of the five roles.
EXPOSE 8080 8081 9101 9102 9103 9104 9105
ENTRYPOINT ["python", "-P", "-m", "trunkline.runtime.container"]
CMD ["services.edge"]
