# The C core together with the C side of the Java API (csrc/jni): one library, libsparse_runtime.so, which
# System.loadLibrary finds and which C programs can link too. For Android it takes the place of the plain shared
# library; elsewhere it is built beside it, in jni/ of the build folder, where a JDK's jni.h is found: for tests on the
# host's Java machine, and for cross builds that show what the Android library needs.
if(ANDROID)
  set(jni_target sparse_runtime)
  set_property(TARGET sparse_runtime PROPERTY VERSION) # System.loadLibrary wants the plain name
  set_property(TARGET sparse_runtime PROPERTY SOVERSION)
else()
  # Not for programs that take the core as a part of theirs.
  if(SPR_SANITIZE OR NOT CMAKE_SOURCE_DIR STREQUAL PROJECT_SOURCE_DIR)
    return()
  endif()
  file(GLOB jdk_folders /usr/lib/jvm/*/include)
  find_path(SPR_JNI_INCLUDE_DIR jni.h HINTS $ENV{JAVA_HOME}/include ${jdk_folders} NO_CMAKE_FIND_ROOT_PATH)
  if(NOT SPR_JNI_INCLUDE_DIR)
    message(STATUS "No jni.h (JAVA_HOME, /usr/lib/jvm): the library for Java is not built")
    return()
  endif()
  set(jni_target sparse_runtime_jni)
  add_library(sparse_runtime_jni SHARED $<TARGET_OBJECTS:spr_objects>)
  target_link_libraries(sparse_runtime_jni PRIVATE Threads::Threads m)
  set_target_properties(sparse_runtime_jni PROPERTIES OUTPUT_NAME sparse_runtime LINKER_LANGUAGE C
                        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/jni)
  # jni_md.h of Linux fits all its processors.
  set_source_files_properties(csrc/jni/jni.c PROPERTIES
                              INCLUDE_DIRECTORIES "${SPR_JNI_INCLUDE_DIR};${SPR_JNI_INCLUDE_DIR}/linux")
endif()
target_sources(${jni_target} PRIVATE csrc/jni/jni.c)
target_include_directories(${jni_target} PRIVATE csrc csrc/include)
# Devices with pages of 16 kB load only libraries that are laid out for them.
target_link_options(${jni_target} PRIVATE LINKER:-z,max-page-size=16384 LINKER:--no-undefined
                    LINKER:--version-script=${CMAKE_CURRENT_SOURCE_DIR}/csrc/jni/exports.map)
set_property(TARGET ${jni_target} APPEND PROPERTY LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/csrc/jni/exports.map)
