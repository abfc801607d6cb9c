# Provides retort::torch from Debian's libtorch-dev, from RETORT_TORCH_ROOT, or from the first folder
# of CMAKE_PREFIX_PATH that holds a PyTorch (a pip package's torch/ folder, CUDA builds too).
# Linked by hand: find_package(Torch) asks for nvcc and breaks with CUDA 12.9 and later.
set(RETORT_TORCH_ROOT "" CACHE PATH "folder of a PyTorch or libtorch (with include/ and lib/); empty: found")
set(_root "${RETORT_TORCH_ROOT}")
if(NOT _root)
  foreach(_prefix IN LISTS CMAKE_PREFIX_PATH)
    if(NOT _root AND EXISTS "${_prefix}/include/torch/csrc/api/include/torch/version.h")
      set(_root "${_prefix}")
    endif()
    if(NOT _root AND EXISTS "${_prefix}/../../include/torch/csrc/api/include/torch/version.h")
      get_filename_component(_root "${_prefix}/../.." ABSOLUTE) # torch.utils.cmake_prefix_path
    endif()
  endforeach()
endif()
set(RETORT_TORCH_BUNDLED OFF) # with libraries of its own
if(_root)
  set(RETORT_TORCH_BUNDLED ON)
  set(_include "${_root}/include")
  set(_hints HINTS "${_root}/lib" NO_DEFAULT_PATH)
else()
  find_path(RETORT_TORCH_INCLUDE torch/csrc/api/include/torch/version.h)
  if(NOT RETORT_TORCH_INCLUDE)
    message(FATAL_ERROR "libtorch was not found. Install Debian's libtorch-dev, or point to a PyTorch: "
      "-DCMAKE_PREFIX_PATH=$(python3 -c 'import torch; print(torch.utils.cmake_prefix_path)')")
  endif()
  set(_include "${RETORT_TORCH_INCLUDE}")
  set(_hints)
endif()
foreach(_lib torch torch_cpu c10)
  find_library(RETORT_LIB_${_lib} ${_lib} ${_hints} REQUIRED)
endforeach()
set(_version_header "${_include}/torch/headeronly/version.h") # since 2.10
if(NOT EXISTS "${_version_header}")
  set(_version_header "${_include}/torch/csrc/api/include/torch/version.h")
endif()
file(STRINGS "${_version_header}" _v REGEX "TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+).*" "\\1.\\2.\\3" RETORT_TORCH_VERSION "${_v}")

set(RETORT_TORCH_HEADERS "${_include}")

add_library(retort_torch INTERFACE)
add_library(retort::torch ALIAS retort_torch)
set_target_properties(retort_torch PROPERTIES EXPORT_NAME torch)
# The installed package names these folders in retort-config.cmake: an exported target may not hold
# a path below the sources, and a virtual environment often lies there.
foreach(_folder "${_include}" "${_include}/torch/csrc/api/include")
  target_include_directories(retort_torch SYSTEM INTERFACE "$<BUILD_INTERFACE:${_folder}>")
endforeach()
if(NOT DEFINED RETORT_CXX11_ABI)
  set(RETORT_CXX11_ABI 1) # 0: PyTorch's own packages before 2.7; cmake/python.cmake asks
endif()
target_compile_definitions(retort_torch INTERFACE _GLIBCXX_USE_CXX11_ABI=${RETORT_CXX11_ABI})
if(RETORT_TORCH_BUNDLED)
  # Such a PyTorch exports parts of a libstdc++ of its own, some of them hollow (a call of
  # std::filesystem::remove_all ends at address 0): the system's has to be found first. It has to be
  # the shared one: a second copy from an archive breaks std::regex inside libtorch_cuda.
  find_library(RETORT_LIB_stdcxx NAMES libstdc++.so libstdc++.so.6 REQUIRED
    HINTS ${CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES} PATHS /lib/${CMAKE_CXX_LIBRARY_ARCHITECTURE})
  target_link_libraries(retort_torch INTERFACE "-Wl,--no-as-needed" ${RETORT_LIB_stdcxx})
endif()
set(RETORT_TORCH_CUDA OFF)
if(EXISTS "${_include}/c10/cuda/impl/cuda_cmake_macros.h")
  find_library(RETORT_LIB_torch_cuda torch_cuda ${_hints})
  find_library(RETORT_LIB_c10_cuda c10_cuda ${_hints})
  if(RETORT_LIB_torch_cuda AND RETORT_LIB_c10_cuda)
    set(RETORT_TORCH_CUDA ON)
    # torch_cuda only registers kernels; nothing references its symbols, so it is kept by force.
    target_link_libraries(retort_torch INTERFACE "-Wl,--no-as-needed" ${RETORT_LIB_torch_cuda} ${RETORT_LIB_c10_cuda})
  endif()
endif()
target_link_libraries(retort_torch INTERFACE
  "-Wl,--no-as-needed" ${RETORT_LIB_torch} ${RETORT_LIB_torch_cpu} ${RETORT_LIB_c10} "-Wl,--as-needed" ${CMAKE_DL_LIBS})
if(_root)
  # A pip PyTorch finds its CUDA libraries by its own run path, which the linker does not follow.
  target_link_options(retort_torch INTERFACE "-Wl,--unresolved-symbols=ignore-in-shared-libs")
  list(APPEND CMAKE_BUILD_RPATH "${_root}/lib")
  list(APPEND CMAKE_INSTALL_RPATH "${_root}/lib")
endif()
message(STATUS "libtorch ${RETORT_TORCH_VERSION}, CUDA ${RETORT_TORCH_CUDA}, at ${_include}")
