# cmake -DCMAKE_TOOLCHAIN_FILE=tools/cmake/arm-linux-gnueabihf.cmake: 32-bit ARM Linux (ARMv7 with hard floats) with
# Debian's cross compiler; `ctest` runs the result under qemu-user (QEMU_CPU chooses the core, e.g. cortex-a7).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_FIND_ROOT_PATH /usr/arm-linux-gnueabihf)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
find_program(SPR_QEMU NAMES qemu-arm qemu-arm-static)
if(SPR_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${SPR_QEMU} -L /usr/arm-linux-gnueabihf)
endif()
