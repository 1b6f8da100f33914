/// Reading what stands in a namespace's nf_tables rule set, whoever has put it there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/netlink.hpp"
#include "common/result.hpp"

namespace lockstep {

struct NftTable {
  std::uint8_t family = 0;  ///< NFPROTO_*
  std::string name;
  std::string comment;
};

struct NftChain {
  std::uint8_t family = 0;
  std::string table;
  std::string name;
};

struct NftElement {
  std::optional<milliseconds> expires;  ///< from now; nothing where it stays for good
  std::string comment;
};

/// Holds a netlink socket inside one namespace. Not thread-safe.
class NftRuleset {
 public:
  [[nodiscard]] static Result<NftRuleset> open(const Fd& netns);

  /// Of all address families. Empty, too, where the kernel has no nf_tables.
  [[nodiscard]] Result<std::vector<NftTable>> tables();
  [[nodiscard]] Result<std::vector<NftChain>> chains();
  /// not_found when there is no such set.
  [[nodiscard]] Result<std::vector<NftElement>> elements(const NftTable& table, const std::string& set);
  /// No error when it is gone already.
  [[nodiscard]] Result<void> remove(const NftTable& table);

 private:
  explicit NftRuleset(NetlinkSocket socket) : socket_(std::move(socket)) {}
  template <class Fill, class Read>
  Result<void> dump(int request, int reply, std::uint8_t family, const std::string& operation, Fill fill, Read read);

  NetlinkSocket socket_;
};

/// The attributes of what the kernel tells about a table, a chain or a set's elements. Pure; safe on any bytes.
[[nodiscard]] NftTable parse_nft_table(std::string_view message);
[[nodiscard]] NftChain parse_nft_chain(std::string_view message);
[[nodiscard]] std::vector<NftElement> parse_nft_elements(std::string_view message);

}  // namespace lockstep
