# Runs in CPack, on the folder that becomes the package.
set(share ${CPACK_TEMPORARY_DIRECTORY}/usr/share)
file(GLOB manuals ${share}/man/man*/*)
if(NOT manuals)
  message(FATAL_ERROR "no manuals in ${share}/man")
endif()
execute_process(COMMAND gzip -9n ${manuals} COMMAND_ERROR_IS_FATAL ANY)
file(COPY ${CPACK_LOCKSTEP_SOURCE}/deploy/debian/copyright DESTINATION ${share}/doc/lockstep)
