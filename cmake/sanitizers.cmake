# For every target, generated code as well: what is not instrumented hides errors, and leads a fuzzer nowhere.
# Lines are enough for a report; whole debug information would double the time that a build takes.
if(LOCKSTEP_SANITIZE)
  add_compile_options(-fsanitize=${LOCKSTEP_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  # g++ 12 takes some of its own library's code for uninitialised under ASan: warnings stay, they don't stop the build.
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-error=maybe-uninitialized>)
  add_link_options(-fsanitize=${LOCKSTEP_SANITIZE})
endif()
if(LOCKSTEP_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
