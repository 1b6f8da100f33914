# One Debian package of the whole: cpack -G DEB --config BUILD/CPackConfig.cmake. Needs dpkg-dev and
# file, for the dependencies.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lockstep)
set(CPACK_PACKAGE_VENDOR lockstep)
set(CPACK_PACKAGE_CONTACT "The lockstep authors <lockstep@packages.invalid>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR OFF)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# A broker needs no criu, and a pod's agent uses iptables only where the kernel has no nf_tables.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS criu)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "iptables, podman, runc")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"CRIU checkpoints one process tree. lockstep keeps several of them in step, on one machine or many: the network of
all pods is locked while their tasks are frozen, the checkpoint counts for all members or for none, and established
connections between them survive the restore.

This package has the broker, the agent, CRIU's hook and the command line. No daemon is started by installing it.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/deploy/debian/postinst ${PROJECT_SOURCE_DIR}/deploy/debian/prerm
  ${PROJECT_SOURCE_DIR}/deploy/debian/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# Debian wants manuals compressed, and the licence named: both only in the package.
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/package_files.cmake)
set(CPACK_LOCKSTEP_SOURCE ${PROJECT_SOURCE_DIR})
include(CPack)
