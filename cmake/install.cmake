# What belongs to no program: units, completions, manuals, documents. (Each program is installed where it is built.)
# The prefix is known when installing, not before: `cmake --install DIR --prefix /usr` after a build for /usr/local, and
# CPack, which installs for /usr whatever was configured.
install(CODE "set(LOCKSTEP_SOURCE [==[${PROJECT_SOURCE_DIR}]==])
set(LOCKSTEP_SBINDIR [==[${CMAKE_INSTALL_SBINDIR}]==])
set(LOCKSTEP_DATADIR [==[${CMAKE_INSTALL_DATADIR}]==])")
install(SCRIPT ${PROJECT_SOURCE_DIR}/cmake/install_by_prefix.cmake)

install(FILES deploy/completions/lockstep.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
  RENAME lockstep)
foreach(section 1 5 8)
  file(GLOB manuals CONFIGURE_DEPENDS docs/man/*.${section})
  install(FILES ${manuals} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
install(FILES README.md docs/DESIGN.md docs/SECURITY.md schemas/PROTOCOL.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY deploy/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
