# Installs the build BUILD to a fresh folder, builds SOURCE against it and runs it.
set(work ${BUILD}/embed-test)
file(REMOVE_RECURSE ${work})
function(must)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  message(STATUS "${output}")
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed: ${ARGV}")
  endif()
endfunction()
must(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/installed)

# What is installed must not point back into the build or the sources.
file(GLOB_RECURSE package ${work}/installed/*.cmake)
foreach(file IN LISTS package)
  file(READ ${file} text)
  string(FIND "${text}" "${BUILD}/" in_build)
  if(NOT in_build EQUAL -1)
    message(FATAL_ERROR "${file} points into the build folder")
  endif()
endforeach()

must(${CMAKE_COMMAND} -S ${SOURCE} -B ${work}/build -G Ninja -DCMAKE_PREFIX_PATH=${work}/installed
  -DCMAKE_CXX_COMPILER=${COMPILER} "-DCMAKE_CXX_FLAGS=${FLAGS}")
must(${CMAKE_COMMAND} --build ${work}/build)
must(${work}/build/embed ${work}/run)
