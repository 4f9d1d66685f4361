# Cross-compiles an addon that the npm package carries, with zig's Clang and its bundled C and C++
# libraries: without libstdc++ or libgcc.
#   LATTE_ZIG    the zig executable
#   LATTE_ARCH   x86_64 or aarch64
#   LATTE_LIBC   the host's C library: gnu.2.28 (glibc 2.28 or newer) or musl
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${LATTE_ARCH})
# CMAKE_CXX_COMPILER is a list: CMake then passes the rest as the compiler's first arguments.
set(CMAKE_CXX_COMPILER ${LATTE_ZIG} c++ -target ${LATTE_ARCH}-linux-${LATTE_LIBC})
# CMake's trial projects read this file, too, and know only the variables that are named here.
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LATTE_ZIG LATTE_ARCH LATTE_LIBC)
# 64 KiB pages: kernels of AArch64 servers have them. zig's linker keeps other libraries' exports out.
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-Wl,-z,max-page-size=65536")
# Nothing is linked while CMake looks at the compiler and its features: zig would compile its C and C++
# libraries for that, without optimisation, and once more for the addon.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_CXX_COMPILER_ID_FLAGS_ALWAYS -c)
