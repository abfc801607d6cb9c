# Libraries beside libtorch. Header-only ones come from the system, or from RETORT_DEPS on machines
# without apt. JPEG, PNG, archives and MATLAB files are optional parts: absent, the program says so
# when one is needed (`retort list parts`).
add_library(retort_headers INTERFACE)
add_library(retort::headers ALIAS retort_headers)
set_target_properties(retort_headers PROPERTIES EXPORT_NAME headers)
if(RETORT_DEPS)
  get_filename_component(RETORT_DEPS "${RETORT_DEPS}" ABSOLUTE BASE_DIR "${CMAKE_SOURCE_DIR}")
  if(NOT EXISTS "${RETORT_DEPS}/include/CLI/CLI.hpp")
    message(FATAL_ERROR "RETORT_DEPS=${RETORT_DEPS} holds no include/CLI/CLI.hpp: fill it with `make deps-bundle` on a Debian machine")
  endif()
  target_include_directories(retort_headers SYSTEM INTERFACE $<BUILD_INTERFACE:${RETORT_DEPS}/include>)
  target_compile_definitions(retort_headers INTERFACE FMT_HEADER_ONLY=1)
else()
  find_package(CLI11 REQUIRED)
  find_package(nlohmann_json REQUIRED)
  find_package(fmt REQUIRED)
  find_path(RETORT_TOML_INCLUDE toml++/toml.h REQUIRED) # header-only, without its shared library
  # All definitions reach every target alike, or the precompiled header would not be shared.
  target_link_libraries(retort_headers INTERFACE nlohmann_json::nlohmann_json fmt::fmt)
  set(RETORT_PART_LIBRARIES CLI11::CLI11)
endif()

find_package(Threads REQUIRED)
list(APPEND RETORT_PART_LIBRARIES Threads::Threads)

# retort_part(NAME header library): an optional library found by header and file name.
function(retort_part name header library)
  find_path(RETORT_${name}_INCLUDE ${header})
  find_library(RETORT_${name}_LIBRARY ${library})
  if(RETORT_${name}_INCLUDE AND RETORT_${name}_LIBRARY)
    list(APPEND RETORT_PART_DEFINITIONS RETORT_WITH_${name}=1)
    list(APPEND RETORT_PART_LIBRARIES ${RETORT_${name}_LIBRARY})
    set(RETORT_PART_DEFINITIONS ${RETORT_PART_DEFINITIONS} PARENT_SCOPE)
    set(RETORT_PART_LIBRARIES ${RETORT_PART_LIBRARIES} PARENT_SCOPE)
    message(STATUS "${name}: ${RETORT_${name}_LIBRARY}")
  else()
    message(STATUS "${name}: absent (${header}, ${library})")
  endif()
endfunction()
retort_part(JPEG turbojpeg.h turbojpeg)
retort_part(PNG png.h png)
retort_part(ARCHIVE archive.h archive)
retort_part(MATIO matio.h matio)
