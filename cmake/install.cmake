include(CMakePackageConfigHelpers)
install(TARGETS retort retort_torch retort_headers EXPORT retort_targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS retort_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/retort DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT retort_targets NAMESPACE retort:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/retort)
configure_package_config_file(cmake/retort-config.cmake.in ${CMAKE_BINARY_DIR}/retort-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/retort)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/retort-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/retort-config.cmake ${CMAKE_BINARY_DIR}/retort-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/retort)
