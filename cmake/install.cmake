# `cmake --install` and find_package(retort). examples/embed is built against the result in a test.
include(CMakePackageConfigHelpers)
set(_package ${CMAKE_INSTALL_LIBDIR}/cmake/retort)
install(TARGETS retort retort_torch retort_headers EXPORT retort_targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS retort_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/retort DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(RETORT_DEPS)
  set(RETORT_SYSTEM_DEPS OFF)
  install(DIRECTORY ${RETORT_DEPS}/include/nlohmann DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/retort-deps)
else()
  set(RETORT_SYSTEM_DEPS ON)
endif()
install(DIRECTORY recipes zoo DESTINATION ${CMAKE_INSTALL_DATADIR}/retort)
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
install(EXPORT retort_targets NAMESPACE retort:: DESTINATION ${_package})
configure_package_config_file(cmake/retort-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/retort-config.cmake
  INSTALL_DESTINATION ${_package})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/retort-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/retort-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/retort-config-version.cmake DESTINATION ${_package})
