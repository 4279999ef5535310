# cmake -DCMAKE_TOOLCHAIN_FILE=tools/cmake/zig-musl.cmake: with the C compiler of the PyPI package ziglang, for Linux
# with musl, so that static programs are small. It is for 64-bit ARM unless SPR_ZIG_TARGET says otherwise, e.g.
# arm-linux-musleabihf. The python3 on the PATH must have ziglang.
set(SPR_ZIG_TARGET aarch64-linux-musl CACHE STRING "What zig compiles for")
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SPR_ZIG_TARGET)
string(REGEX MATCH "^[^-]+" CMAKE_SYSTEM_PROCESSOR ${SPR_ZIG_TARGET})
set(CMAKE_SYSTEM_NAME Linux)
find_program(SPR_PYTHON python3 REQUIRED)
set(CMAKE_C_COMPILER ${SPR_PYTHON} -m ziglang cc -target ${SPR_ZIG_TARGET})
