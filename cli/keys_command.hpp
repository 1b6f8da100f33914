/// `lockstep keys`: who may speak to the broker. Works on the files of the broker's machine; no broker is asked, and
/// one that runs notices at once.
#pragma once

#include <string>

#include "common/key_files.hpp"

namespace lockstep::cli {

struct KeysOptions {
  std::string folder = kDefaultKeys;
  KeyEntry entry;           ///< add: all that is given; revoke: its name
  std::string secret_file;  ///< add; empty: FOLDER/NAME.key
  bool json = false;
};

[[nodiscard]] int run_keys_init(const KeysOptions& options);
[[nodiscard]] int run_keys_add(const KeysOptions& options);
[[nodiscard]] int run_keys_list(const KeysOptions& options);
[[nodiscard]] int run_keys_revoke(const KeysOptions& options);

}  // namespace lockstep::cli
