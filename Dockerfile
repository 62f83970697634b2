# The container of Dataflow's (or Flink's) Python workers, with this package in it: a worker installs
# nothing when it starts. Python and Apache Beam must be those of the environment that submits.
#
#   docker build --tag REGION-docker.pkg.dev/PROJECT/REPOSITORY/beam-mat .
#   docker push REGION-docker.pkg.dev/PROJECT/REPOSITORY/beam-mat
#   beam-mat convert … --sdk_container_image REGION-docker.pkg.dev/PROJECT/REPOSITORY/beam-mat
ARG PYTHON=3.11
FROM apache/beam_python${PYTHON}_sdk:2.77.0

# The versions that the tests run with, and drivers for gs://, s3:// and hf://.
COPY constraints.txt pyproject.toml setup.py README.md LICENSE /opt/beam-mat/
COPY beam_mat /opt/beam-mat/beam_mat
RUN pip install --no-cache-dir --constraint /opt/beam-mat/constraints.txt "/opt/beam-mat[gcp,s3,hf]" \
    && rm -rf /opt/beam-mat \
    && python -c "import beam_mat.pipeline, cykooz_resizer, gcsfs, huggingface_hub, s3fs"

# Beam's boot program would make a virtual environment to install into first.
ENV RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1

# Root and entry point are left as in Beam's image: its boot program writes to folders of the machine
# that belong to root. The machine is the job's own and ends with it.
