# Runs while installing. Units name their program's path; zsh looks in another folder for a distribution's completions
# than for those of the machine's administrator.
file(GLOB units ${LOCKSTEP_SOURCE}/deploy/systemd/*.service)
foreach(unit ${units})
  get_filename_component(name ${unit} NAME)
  file(READ ${unit} text)
  string(REPLACE "/usr/sbin/lockstep-" "${CMAKE_INSTALL_PREFIX}/${LOCKSTEP_SBINDIR}/lockstep-" text "${text}")
  set(path "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/systemd/system/${name}")
  message(STATUS "Installing: ${path}")
  file(WRITE "${path}" "${text}")
  file(CHMOD "${path}" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  list(APPEND CMAKE_INSTALL_MANIFEST_FILES "${CMAKE_INSTALL_PREFIX}/lib/systemd/system/${name}")
endforeach()

if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(zsh_completions vendor-completions)
else()
  set(zsh_completions site-functions)
endif()
file(INSTALL DESTINATION "${CMAKE_INSTALL_PREFIX}/${LOCKSTEP_DATADIR}/zsh/${zsh_completions}" TYPE FILE
  FILES ${LOCKSTEP_SOURCE}/deploy/completions/_lockstep)
