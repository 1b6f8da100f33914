# All of them are Debian packages (deploy/packages.sh lists their names); nothing is fetched while building.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
pkg_check_modules(zmq REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(capng REQUIRED IMPORTED_TARGET libcap-ng)
pkg_check_modules(nl REQUIRED IMPORTED_TARGET libnl-3.0 libnl-route-3.0 libnl-idiag-3.0 libnl-nf-3.0)
# Header-only; its CMake package has another name in each Debian release.
find_path(MSGPACK_INCLUDE msgpack.hpp REQUIRED)
find_path(TL_EXPECTED_INCLUDE tl/expected.hpp REQUIRED)
find_path(CPPZMQ_INCLUDE zmq.hpp REQUIRED)
find_path(CLI11_INCLUDE CLI/CLI.hpp REQUIRED)
find_path(NLOHMANN_INCLUDE nlohmann/json.hpp REQUIRED)
find_package(Protobuf REQUIRED)
find_package(SQLite3 REQUIRED)
# The archive, because the statically linked hook checks records as well.
set(ZLIB_USE_STATIC_LIBS ON)
find_package(ZLIB REQUIRED)
