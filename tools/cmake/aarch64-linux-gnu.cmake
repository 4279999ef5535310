# cmake -DCMAKE_TOOLCHAIN_FILE=tools/cmake/aarch64-linux-gnu.cmake: 64-bit ARM Linux with Debian's cross compiler;
# `ctest` runs the result under qemu-user (QEMU_CPU chooses the core, e.g. cortex-a53).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
find_program(SPR_QEMU NAMES qemu-aarch64 qemu-aarch64-static)
if(SPR_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${SPR_QEMU} -L /usr/aarch64-linux-gnu)
endif()
