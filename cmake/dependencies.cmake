# Libraries beside libtorch. The header-only ones come from the system, or from RETORT_DEPS on
# machines without apt. JPEG, PNG, archives and MATLAB files are optional parts: absent, the program
# says so when one is needed (`retort list parts`).
#
# retort::headers is what our public headers include and is installed with them;
# retort_private_headers is what our sources include; RETORT_LIBRARIES is what both link.
add_library(retort_headers INTERFACE)
add_library(retort::headers ALIAS retort_headers)
set_target_properties(retort_headers PROPERTIES EXPORT_NAME headers)
add_library(retort_private_headers INTERFACE)
set(RETORT_LIBRARIES)
if(RETORT_DEPS)
  get_filename_component(RETORT_DEPS "${RETORT_DEPS}" ABSOLUTE BASE_DIR "${CMAKE_SOURCE_DIR}")
  if(NOT EXISTS "${RETORT_DEPS}/include/CLI/CLI.hpp")
    message(FATAL_ERROR "RETORT_DEPS=${RETORT_DEPS} holds no include/CLI/CLI.hpp: "
      "fill it with `make deps-bundle` on a Debian machine")
  endif()
  target_include_directories(retort_headers SYSTEM INTERFACE
    $<BUILD_INTERFACE:${RETORT_DEPS}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/retort-deps>)
  target_compile_definitions(retort_private_headers INTERFACE FMT_HEADER_ONLY=1)
  target_link_libraries(retort_private_headers INTERFACE retort_headers)
else()
  find_package(CLI11 REQUIRED)
  find_package(nlohmann_json REQUIRED)
  find_package(fmt REQUIRED)
  find_path(RETORT_TOML_INCLUDE toml++/toml.h REQUIRED) # header-only, without its shared library
  target_link_libraries(retort_headers INTERFACE nlohmann_json::nlohmann_json)
  # Recent PyTorch brings an fmt among its headers, which come first; it has no library.
  set(_fmt fmt::fmt)
  if(EXISTS "${RETORT_TORCH_HEADERS}/fmt/format.h" AND RETORT_TORCH_BUNDLED)
    set(_fmt fmt::fmt-header-only)
  endif()
  target_link_libraries(retort_private_headers INTERFACE ${_fmt} CLI11::CLI11)
  target_include_directories(retort_private_headers SYSTEM INTERFACE ${RETORT_TOML_INCLUDE})
  list(APPEND RETORT_LIBRARIES ${_fmt})
endif()

find_package(Threads REQUIRED)
list(APPEND RETORT_LIBRARIES Threads::Threads)

# retort_part(NAME header library): an optional library found by header and file name.
function(retort_part name header library)
  if(RETORT_PARTS)
    find_path(RETORT_${name}_INCLUDE ${header})
    find_library(RETORT_${name}_LIBRARY ${library})
  endif()
  if(RETORT_PARTS AND RETORT_${name}_INCLUDE AND RETORT_${name}_LIBRARY)
    set(RETORT_PART_DEFINITIONS ${RETORT_PART_DEFINITIONS} RETORT_WITH_${name}=1 PARENT_SCOPE)
    set(RETORT_LIBRARIES ${RETORT_LIBRARIES} ${RETORT_${name}_LIBRARY} PARENT_SCOPE)
    target_include_directories(retort_private_headers SYSTEM INTERFACE "${RETORT_${name}_INCLUDE}")
    message(STATUS "${name}: ${RETORT_${name}_LIBRARY}")
  else()
    message(STATUS "${name}: absent (${header}, ${library})")
  endif()
endfunction()
retort_part(JPEG turbojpeg.h turbojpeg)
retort_part(PNG png.h png)

# Image formats that few sets need: only the decoder and `retort list parts` are told of them.
# retort_image_part(NAME header symbol libraries...): `symbol` must stand in the header.
function(retort_image_part name header symbol)
  set(_found ${RETORT_PARTS})
  if(RETORT_PARTS)
    find_path(RETORT_${name}_INCLUDE ${header})
    foreach(_library IN LISTS ARGN)
      find_library(RETORT_${name}_LIBRARY_${_library} ${_library})
      list(APPEND _libraries "${RETORT_${name}_LIBRARY_${_library}}")
      if(NOT RETORT_${name}_LIBRARY_${_library})
        set(_found OFF)
      endif()
    endforeach()
    if(RETORT_${name}_INCLUDE)
      file(STRINGS "${RETORT_${name}_INCLUDE}/${header}" _uses REGEX "${symbol}")
    endif()
  endif()
  if(_found AND _uses)
    set(RETORT_IMAGE_DEFINITIONS ${RETORT_IMAGE_DEFINITIONS} RETORT_WITH_${name}=1 PARENT_SCOPE)
    set(RETORT_LIBRARIES ${RETORT_LIBRARIES} ${_libraries} PARENT_SCOPE)
    target_include_directories(retort_private_headers SYSTEM INTERFACE "${RETORT_${name}_INCLUDE}")
    message(STATUS "${name}: ${_libraries}")
  else()
    message(STATUS "${name}: absent (${header} with ${symbol}, ${ARGN})")
  endif()
endfunction()
retort_image_part(WEBP webp/demux.h WebPDemux webpdemux webp)
retort_image_part(GIF gif_lib.h DGifOpen gif)
retort_image_part(TIFF tiffio.h TIFFClientOpenExt tiff) # 4.5 and later
retort_part(ARCHIVE archive.h archive)
retort_part(MATIO matio.h matio)

# The blocked engine of nets/ needs Highway.
set(RETORT_BLOCKED OFF)
retort_part(HWY hwy/highway.h hwy)
if(RETORT_PARTS AND RETORT_HWY_LIBRARY)
  set(RETORT_BLOCKED ON)
  list(APPEND RETORT_PART_DEFINITIONS RETORT_WITH_BLOCKED=1)
endif()
message(STATUS "blocked engine (Highway): ${RETORT_BLOCKED}")
