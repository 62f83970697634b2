# Functions that the scripts share. A script sources this file with the checkout as its working directory.
# shellcheck shell=bash

# Python keeps compiled modules, even where the environment forbids it, as images of containers often do. Without
# them, each program compiles Beam or PyTorch when it starts: `import apache_beam` takes 7 s instead of 3.
unset PYTHONDONTWRITEBYTECODE

say() { printf '%s\n' "$*" >&2; }

# Prints the version (such as 3.11) of the interpreter $1. Fails if the interpreter cannot run. Only
# running it shows this: a pyenv shim may be on PATH and still refuse to run.
python_version() {
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

# Prints the path of the interpreter $1 if its version is among the other arguments and it can make
# virtual environments.
usable_python() {
  local python=$1 version wanted
  shift
  version=$(python_version "$python") || return 1
  for wanted in "$@"; do
    if [ "$version" = "$wanted" ]; then
      "$python" -c 'import ensurepip, sys; print(sys.executable)' 2>/dev/null
      return
    fi
  done
  return 1
}

# Prints the paths of the installed Pythons 3.10, 3.11 and 3.12, oldest first, one per line. It also
# searches pyenv's folder, which is usually not on PATH.
all_pythons() {
  local version candidate
  for version in 3.10 3.11 3.12; do
    for candidate in "python$version" python3 "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$version".*/bin/python; do
      usable_python "$candidate" "$version" && break
    done
  done
}

# Prints the Python for new environments: $PYTHON if set, else python3, else the newest supported one.
find_python() {
  local newest
  if [ -n "${PYTHON:-}" ]; then
    usable_python "$PYTHON" 3.10 3.11 3.12 && return
    say "PYTHON=$PYTHON is not a working Python 3.10, 3.11 or 3.12 with venv. Choose another one, or unset PYTHON."
    return 1
  fi
  usable_python python3 3.10 3.11 3.12 && return
  newest=$(all_pythons | tail -n 1)
  if [ -z "$newest" ]; then
    say "No working Python 3.10, 3.11 or 3.12 with venv was found. Install one, or set PYTHON=/path/to/python."
    return 1
  fi
  printf '%s\n' "$newest"
}

# pip_install ENV ARGUMENT...: like `pip install` in ENV, but with uv if it is installed, which is much faster.
# If uv fails, pip tries again, because uv does not read pip's settings.
pip_install() {
  local env=$1
  shift
  if command -v uv >/dev/null; then
    uv pip install --quiet --python "$env/bin/python" "$@" >&2 && return
    say "uv failed; trying again with pip"
  fi
  PIP_DISABLE_PIP_VERSION_CHECK=1 "$env/bin/python" -m pip install --quiet "$@" >&2
}

# install_once ENV PYTHON NAME FILE... -- ARGUMENT...: runs `pip install ARGUMENT...` in the virtual
# environment ENV, unless this was done before under the same NAME and the FILEs have not changed.
# Makes ENV with PYTHON if it is missing. If PYTHON is empty, find_python chooses one.
install_once() {
  local env=$1 python=$2 stamp=$1/$3.stamp files=() wanted
  shift 3
  while [ "$1" != -- ]; do
    files+=("$1")
    shift
  done
  shift
  wanted=$(printf '%s\n' "$PWD" "$@" && cat "${files[@]}")
  if ! python_version "$env/bin/python" >/dev/null; then
    [ -n "$python" ] || python=$(find_python) || return 1
    say "Making $env with $python"
    "$python" -m venv --clear "$env" || return 1
  elif [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    return
  fi
  say "Installing into $env (this takes a minute or more): $*"
  rm -f "$stamp"
  pip_install "$env" "$@" || return 1
  printf '%s\n' "$wanted" >"$stamp"
}

# install_project ENV EXTRAS [PYTHON]: makes an editable installation of the project with EXTRAS ("" for none).
install_project() {
  install_once "$1" "${3:-}" "beam-mat-${2:-plain}" pyproject.toml setup.py constraints.txt -- \
    --constraint constraints.txt --editable ".${2:+[$2]}"
}
