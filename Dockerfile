# The container image for Python workers on Dataflow or Flink. It contains this package, so workers
# install nothing when they start. Python and Apache Beam must have the same versions as in the
# environment from which the job is submitted.
#
#   docker build --tag REGION-docker.pkg.dev/PROJECT/REPOSITORY/beam-mat .
#   docker push REGION-docker.pkg.dev/PROJECT/REPOSITORY/beam-mat
#   beam-mat convert … --sdk_container_image REGION-docker.pkg.dev/PROJECT/REPOSITORY/beam-mat
ARG PYTHON=3.11
FROM apache/beam_python${PYTHON}_sdk:2.77.0

# The versions that are tested, and drivers for gs://, s3:// and hf://.
COPY constraints.txt pyproject.toml setup.py README.md LICENSE /opt/beam-mat/
COPY beam_mat /opt/beam-mat/beam_mat
RUN pip install --no-cache-dir --constraint /opt/beam-mat/constraints.txt "/opt/beam-mat[gcp,s3,hf]" \
    && rm -rf /opt/beam-mat \
    && python -c "import beam_mat.convert.pipeline, cykooz_resizer, gcsfs, huggingface_hub, s3fs"

# Without this, Beam's boot program creates a virtual environment without this package.
ENV RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1

# User (root) and entry point are those of Beam's image, because its boot program writes to folders
# that belong to root. The machine is used only for this job and is deleted after it.
