// What the kernel tells of nf_tables and of connection tracking, and what iptables-save prints. The first byte chooses
// the reader.
#include "agent/kernel/conntrack_message.hpp"
#include "agent/kernel/lock_listing.hpp"
#include "agent/kernel/lock_note.hpp"
#include "agent/kernel/nft_answer.hpp"
#include "agent/kernel/nft_ruleset.hpp"
#include "tests/fuzz/input.hpp"

namespace {

using namespace lockstep;

/// Comments are anybody's: what becomes of them must fit into a comment again.
void read_note(std::string_view comment) {
  LockNote note;
  read_comment(comment, note);
  fuzz::expect(owner_comment(note.owner).size() <= kMaxComment, "an owner's comment is short");
  fuzz::expect(round_comment(note.round, note.armed_unix_ms).size() <= kMaxComment, "a round's comment is short");
  LockNote again;
  read_comment(owner_comment(note.owner), again);
  if (note.owner.pid != 0) fuzz::expect(again.owner == note.owner, "an owner's comment tells the owner");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Pieces input(fuzz::view_of(data, size));
  const std::uint8_t reader = input.byte();
  const fuzz::Copy copy(input.rest());
  const std::string_view bytes = copy.view();
  switch (reader % 7) {
    case 0: read_note(parse_nft_table(bytes).comment); break;
    case 1: (void)parse_nft_chain(bytes); break;
    case 2:
      for (const NftElement& element : parse_nft_elements(bytes)) read_note(element.comment);
      break;
    case 3: (void)parse_nft_answer(bytes, 0xFFFFFFFEU, 1); break;  // numbers that wrap around
    case 4: (void)parse_conntrack_entry(bytes); break;
    case 5: read_note(bytes); break;
    default: {
      FoundLock lock;
      read_iptables_lock(std::string(bytes), 1'700'000'000'000, lock);
      if (lock.remaining)
        fuzz::expect(lock.armed && lock.remaining->count() > 0, "a lease that is left closes the pod");
    }
  }
  return 0;
}
