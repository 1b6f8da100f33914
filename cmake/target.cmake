# What all of lockstep's targets have in common.
function(lockstep_target name)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor)
  # g++ 12 sees overlaps in its own std::string (GCC bug 105651).
  target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
  if(LOCKSTEP_WERROR)
    target_compile_options(${name} PRIVATE -Werror)
  endif()
  if(LOCKSTEP_SANITIZE)
    # Lines are enough for a report; whole debug information doubles the time a sanitized build takes.
    # g++ 12 takes some of its own library's code for uninitialised under ASan: warnings stay, they don't stop the build.
    target_compile_options(${name} PRIVATE -fsanitize=${LOCKSTEP_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1 -Wno-error=maybe-uninitialized)
    target_link_options(${name} PUBLIC -fsanitize=${LOCKSTEP_SANITIZE})
  endif()
endfunction()
