# Sets RETORT_TORCH_ROOT to the PyTorch of a Python interpreter (Python_EXECUTABLE chooses which),
# RETORT_TORCH_NAME to its whole version ("2.13.0+cpu") and RETORT_CXX11_ABI to its C++ ABI.
find_package(Python 3.9 REQUIRED COMPONENTS Interpreter Development.Module)
# An sdist carries the headers that are no packages of Python's.
if(SKBUILD AND NOT RETORT_DEPS AND EXISTS "${CMAKE_SOURCE_DIR}/.deps/include/CLI/CLI.hpp")
  set(RETORT_DEPS "${CMAKE_SOURCE_DIR}/.deps")
endif()
set(_ask "import os, torch; print(os.path.dirname(torch.__file__), torch.__version__, \
int(torch._C._GLIBCXX_USE_CXX11_ABI), sep=';')")
# pip hides an environment's packages from the build, but not from an interpreter that takes no
# notice of variables: -I.
foreach(_isolated "" "-I")
  execute_process(COMMAND "${Python_EXECUTABLE}" ${_isolated} -c "${_ask}"
    OUTPUT_VARIABLE _said ERROR_VARIABLE _problem RESULT_VARIABLE _failed OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT _failed)
    break()
  endif()
endforeach()
if(_failed)
  message(FATAL_ERROR "${Python_EXECUTABLE} finds no PyTorch, which retort is built for and runs on.\n"
    "Install PyTorch 2.4 or newer first; in an isolated build, such as that of `python -m build`, "
    "it is seen with --no-isolation (pip: --no-build-isolation).\n${_problem}")
endif()
list(GET _said 0 RETORT_TORCH_PACKAGE)
set(_root "${RETORT_TORCH_PACKAGE}")
list(GET _said 1 RETORT_TORCH_NAME)
list(GET _said 2 RETORT_CXX11_ABI)
if(RETORT_TORCH_NAME VERSION_LESS 2.4)
  message(FATAL_ERROR "the Python package needs PyTorch 2.4 or newer; ${Python_EXECUTABLE} has ${RETORT_TORCH_NAME}")
endif()
if(NOT EXISTS "${_root}/include/torch/csrc/api/include/torch/version.h")
  set(_root "") # Debian's python3-torch: its headers and libraries are those of libtorch-dev
endif()
set(RETORT_TORCH_ROOT "${_root}" CACHE PATH "folder of the PyTorch that the package is built for" FORCE)
