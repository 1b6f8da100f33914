# What all of lockstep's targets have in common.
function(lockstep_target name)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor)
  # g++ 12 sees overlaps in its own std::string (GCC bug 105651).
  target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
  if(LOCKSTEP_WERROR)
    target_compile_options(${name} PRIVATE -Werror)
  endif()
endfunction()
